#!/bin/sh
# Plans for a pull request or merge request: plan.sh DOCUMENT
#
# The plan is written to DOCUMENT as Markdown, its exit status to DOCUMENT.status. Ends with 0 in any case, so that the next
# step can post the document, also where it says why there is no plan; finish.sh then ends the job with the status.
set -eu

document=$1
status=0
patchctl plan --output markdown >"$document" || status=$?
if [ ! -s "$document" ]; then
  printf '<!-- patchctl:plan -->\n### Plan failed\n\n`patchctl plan` ended with %s. The log of the job says why.\n' \
    "$status" >"$document"
fi
printf '%s\n' "$status" >"$document.status"
