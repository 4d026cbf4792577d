#!/bin/sh
# Ends with the status that an earlier step kept: finish.sh DOCUMENT
set -eu

status=$(cat "$1.status")
if [ "$status" -ne 0 ]; then
  echo "error: patchctl ended with $status; the log of that step says why" >&2
fi
exit "$status"
