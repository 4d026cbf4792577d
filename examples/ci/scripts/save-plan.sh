#!/bin/sh
# Plans after a merge and keeps the plan for the job that applies it: save-plan.sh PLAN DOCUMENT
#
# PLAN is for `apply --plan`, DOCUMENT is the same as Markdown. Where there is something to apply, `changes=true` is told to
# the jobs after this one; a plan that can not be made, and one whose changes are all blocked or held, ends the job.
set -eu

plan=$1
document=$2
status=0
patchctl plan --detailed-exitcode --out "$plan" --output markdown >"$document" || status=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  cat "$document" >>"$GITHUB_STEP_SUMMARY"
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
