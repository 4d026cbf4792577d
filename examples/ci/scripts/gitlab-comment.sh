#!/bin/sh
# Posts a document as a note of a merge request, in place of the earlier one: gitlab-comment.sh DOCUMENT
#
# The first line of the document is its marker, `<!-- patchctl:plan OWNER -->`. The token's own note that begins with the same
# line is replaced, else one is made. A document that could not name its owner replaces a note of any owner, and is replaced
# by one.
#
# PATCHCTL_GITLAB_TOKEN  see gitlab-api.sh
# CI_MERGE_REQUEST_IID   number of the merge request, set by GitLab in merge request pipelines
set -eu

document=$1
: "${CI_MERGE_REQUEST_IID:?}"
. "$(dirname "$0")/gitlab-api.sh"
marker=$(head -n 1 "$document")
case $marker in
  '<!-- patchctl:'*' -->') ;;
  *)
    echo "error: $document does not begin with a marker of patchctl" >&2
    exit 1
    ;;
esac
kind=$(printf '%s' "${marker% -->}" | cut -d ' ' -f 1-2)

list=$(mktemp)
trap 'rm -f "$list"' EXIT
# Who the token is; one object, made a list of one.
gitlab user --output "$list"
me=$({ printf '['; cat "$list"; printf ']'; } | rows username)
: "${me:?the token has no user}"
notes=projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes
gitlab_list "$notes?sort=asc&order_by=created_at" 'id author.username body' "$list"
id=$(awk -F '\t' -v me="$me" -v marker="$marker" -v kind="$kind" '
  $2 != me { next }
  $3 == marker || $3 == kind " -->" || (marker == kind " -->" && index($3, kind " ") == 1) { print $1; exit }
' "$list")
if [ -n "$id" ]; then
  gitlab "$notes/$id" --request PUT --data-urlencode "body@$document" --output /dev/null
  echo "replaced note $id"
else
  gitlab "$notes" --request POST --data-urlencode "body@$document" --output /dev/null
  echo "made a note"
fi
