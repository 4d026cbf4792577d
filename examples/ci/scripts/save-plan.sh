#!/bin/sh
# Plans after a merge and keeps the plan for the job that applies it: save-plan.sh PLAN DOCUMENT
#
# PLAN is for `apply --plan`, DOCUMENT is the same as Markdown. Where there is something to apply, `changes=true` is told to
# the jobs after this one. Held steps that the console took part in are among that: whoever approves the plan decides them for
# Git, and the document says so first. A plan that can not be made, and one of which nothing may be applied, ends the job.
set -eu

plan=$1
document=$2
status=0
patchctl plan --detailed-exitcode --out "$plan" --output markdown >"$document" || status=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  cat "$document" >>"$GITHUB_STEP_SUMMARY"
fi
# Only held steps, of which the saved plan carries some out. The line is one that the file's own form has, and no text in it can
# be: its quotes would be escaped.
if [ "$status" -eq 3 ] && grep -q '^      "held": true,$' "$plan"; then
  echo "the plan has only held steps: approving it decides them for Git" >&2
  status=2
fi
changes=false
case $status in
  0) ;;
  2) changes=true ;;
  3) echo "error: changes are waiting that may not be applied; see the plan" >&2 ;;
  *) echo "error: there is no plan" >&2 ;;
esac
if [ -n "${GITHUB_OUTPUT:-}" ]; then
  printf 'changes=%s\n' "$changes" >>"$GITHUB_OUTPUT"
fi
case $status in
  0 | 2) exit 0 ;;
  *) exit "$status" ;;
esac
