#!/bin/sh
# Applies a saved plan: apply.sh PLAN DOCUMENT AUDIT
#
# What became of each step goes to DOCUMENT as Markdown, and as one JSON line for each step to AUDIT, also where the run ends
# early. Ends with the status of `patchctl apply`.
set -eu

plan=$1
document=$2
audit=$3
status=0
# Another apply with the same state folder is waited for; the concurrency group of the workflow makes that rare.
patchctl apply --plan "$plan" --audit "$audit" --lock-wait 10m --output markdown >"$document" || status=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  cat "$document" >>"$GITHUB_STEP_SUMMARY"
fi
case $status in
  0) ;;
  3) echo "error: nothing was written: the jobs moved since the plan was made, or a guard stopped it" >&2 ;;
  4) echo "error: applied in part; a new run of this workflow plans what is left" >&2 ;;
  *) echo "error: apply failed" >&2 ;;
esac
exit "$status"
