#!/bin/sh
# Opens, updates or closes the one issue that tells of drift: github-issue.sh DOCUMENT
#
# With status 2 in DOCUMENT.status the issue is opened, or its text replaced; with 0 it is closed; with anything else nothing
# is done. It is found by the first line of the document, `<!-- patchctl:drift OWNER -->`, and by who opened it.
#
# GH_TOKEN              the job's token; needs `issues: write`
# GITHUB_REPOSITORY     owner/name, set by GitHub
# PATCHCTL_BOT          login that the token posts as [default: github-actions[bot]]
# PATCHCTL_ISSUE_TITLE  title of the issue
set -eu

document=$1
: "${GITHUB_REPOSITORY:?}"
bot=${PATCHCTL_BOT:-github-actions[bot]}
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
# Into a file and not a pipe, so that a refusal ends the script. Pull requests are in this list as well.
gh api --paginate "repos/$GITHUB_REPOSITORY/issues?state=open&per_page=100" \
  --jq '.[] | select(.pull_request | not) | [.number, .user.login, (.body // "" | split("\n")[0] | rtrimstr("\r"))] | @tsv' \
  >"$list"
number=$(awk -F '\t' -v bot="$bot" -v marker="$marker" '$2 == bot && $3 == marker { print $1; exit }' "$list")
case $status in
  2)
    if [ -n "$number" ]; then
      gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/$number" -F "body=@$document" --silent
      echo "updated issue $number"
    else
      gh api --method POST "repos/$GITHUB_REPOSITORY/issues" -f "title=$title" -F "body=@$document" --silent
      echo "opened an issue"
    fi
    ;;
  0)
    if [ -n "$number" ]; then
      gh api --method POST "repos/$GITHUB_REPOSITORY/issues/$number/comments" \
        -f 'body=The live jobs are as declared in Git again.' --silent
      gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/$number" -f state=closed --silent
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
