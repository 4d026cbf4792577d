#!/bin/sh
# Opens, updates or closes the one issue that tells of drift: gitlab-issue.sh DOCUMENT
#
# With status 2 in DOCUMENT.status the issue is opened, or its text replaced; with 0 it is closed; with anything else nothing
# is done. It is found by the first line of the document, `<!-- patchctl:drift OWNER -->`, among the issues that the token
# opened.
#
# PATCHCTL_GITLAB_TOKEN  see gitlab-api.sh
# PATCHCTL_ISSUE_TITLE   title of the issue
set -eu

document=$1
. "$(dirname "$0")/gitlab-api.sh"
title=${PATCHCTL_ISSUE_TITLE:-Deployment jobs differ from Git}
status=$(cat "$document.status")
marker=$(head -n 1 "$document")
case $marker in
  '<!-- patchctl:drift'*' -->') ;;
  *)
    echo "error: $document does not begin with a marker of patchctl" >&2
    exit 1
    ;;
esac

list=$(mktemp)
trap 'rm -f "$list"' EXIT
issues=projects/$CI_PROJECT_ID/issues
gitlab_list "$issues?state=opened&scope=created_by_me" 'iid description' "$list"
number=$(awk -F '\t' -v marker="$marker" '$2 == marker { print $1; exit }' "$list")
case $status in
  2)
    if [ -n "$number" ]; then
      gitlab "$issues/$number" --request PUT --data-urlencode "description@$document" --output /dev/null
      echo "updated issue $number"
    else
      gitlab "$issues" --request POST --data-urlencode "title=$title" --data-urlencode "description@$document" \
        --output /dev/null
      echo "opened an issue"
    fi
    ;;
  0)
    if [ -n "$number" ]; then
      gitlab "$issues/$number/notes" --request POST \
        --data-urlencode 'body=The live jobs are as declared in Git again.' --output /dev/null
      gitlab "$issues/$number" --request PUT --data-urlencode state_event=close --output /dev/null
      echo "closed issue $number"
    else
      echo "nothing to do"
    fi
    ;;
  *)
    echo "error: status $status says neither drift nor clean; the issue stays as it is" >&2
    exit 1
    ;;
esac
