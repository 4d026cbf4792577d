#!/bin/sh
# Posts a document as a comment of a pull request, in place of the earlier one: github-comment.sh DOCUMENT
#
# The first line of the document is its marker, `<!-- patchctl:plan OWNER -->`. The comment of this workflow's own user that
# begins with the same line is replaced, else one is made. A document that could not name its owner, because not even the
# configuration could be read, replaces a comment of any owner, and is replaced by one.
#
# GH_TOKEN           the job's token; needs `pull-requests: write`
# GITHUB_REPOSITORY  owner/name, set by GitHub
# PR_NUMBER          number of the pull request
# PATCHCTL_BOT       login that the token posts as [default: github-actions[bot]]
set -eu

document=$1
: "${GITHUB_REPOSITORY:?}" "${PR_NUMBER:?}"
bot=${PATCHCTL_BOT:-github-actions[bot]}
marker=$(head -n 1 "$document")
case $marker in
  '<!-- patchctl:'*' -->') ;;
  *)
    echo "error: $document does not begin with a marker of patchctl" >&2
    exit 1
    ;;
esac
# `<!-- patchctl:plan`: the kind without the owner.
kind=${marker% -->}
kind=$(printf '%s' "$kind" | cut -d ' ' -f 1-2)

list=$(mktemp)
trap 'rm -f "$list"' EXIT
# Into a file and not a pipe, so that a refusal ends the script.
gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$PR_NUMBER/comments?per_page=100" \
  --jq '.[] | [.id, .user.login, (.body // "" | split("\n")[0] | rtrimstr("\r"))] | @tsv' >"$list"
id=$(awk -F '\t' -v bot="$bot" -v marker="$marker" -v kind="$kind" '
  $2 != bot { next }
  $3 == marker || $3 == kind " -->" || (marker == kind " -->" && index($3, kind " ") == 1) { print $1; exit }
' "$list")
if [ -n "$id" ]; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F "body=@$document" --silent
  echo "replaced comment $id"
else
  gh api --method POST "repos/$GITHUB_REPOSITORY/issues/$PR_NUMBER/comments" -F "body=@$document" --silent
  echo "made a comment"
fi
