#!/bin/sh
# Calls of GitLab's API with nothing but curl and awk; read by the scripts beside it with `.`, not run.
#
# PATCHCTL_GITLAB_TOKEN  project access token with the scope `api` and the role Reporter. The job's own CI_JOB_TOKEN will not
#                        do: GitLab lets it neither write notes nor issues.
# CI_API_V4_URL, CI_PROJECT_ID  set by GitLab

: "${PATCHCTL_GITLAB_TOKEN:?set it to a project access token with the scope api}" "${CI_API_V4_URL:?}" "${CI_PROJECT_ID:?}"

# One call: gitlab PATH [ARGUMENTS OF CURL]. The token goes by the standard input: arguments can be seen by other processes. Only
# reads are given `--retry`: a write that was lost on its way back would be made twice.
gitlab() {
  gitlab_path=$1
  shift
  printf 'header = "PRIVATE-TOKEN: %s"\n' "$PATCHCTL_GITLAB_TOKEN" |
    curl --config - --fail --silent --show-error "$@" "$CI_API_V4_URL/$gitlab_path"
}

# All of a list, 100 a page: gitlab_list PATH MEMBERS FILE. FILE gets a line for each object, with the first lines of the
# members named (`author.username` for one within another), between tabs. PATH has a `?` in it.
gitlab_list() {
  gitlab_page=1
  : >"$3"
  while :; do
    gitlab "$1&per_page=100&page=$gitlab_page" --retry 3 --output "$3.json"
    rows "$2" <"$3.json" >"$3.page"
    rm -f "$3.json"
    cat "$3.page" >>"$3"
    n_rows=$(wc -l <"$3.page")
    rm -f "$3.page"
    [ "$n_rows" -ge 100 ] || return 0
    gitlab_page=$((gitlab_page + 1))
  done
}

# A JSON list of objects as lines: rows MEMBERS. The text is cut at its quotes, so every second piece is a string, whatever
# is written in it.
rows() {
  LC_ALL=C awk -v members="$1" '
    BEGIN { RS = "\""; n = split(members, names, " ") }
    function path(  at, joined) {
      joined = key[2]
      for (at = 3; at <= depth; at++) joined = joined "." key[at]
      return joined
    }
    function row(  at, line, text) {
      line = ""
      for (at = 1; at <= n; at++) {
        text = value[names[at]]
        sub(/\\r?\\n.*/, "", text); sub(/\\n.*/, "", text); sub(/\\r$/, "", text)
        gsub(/\\u003[cC]/, "<", text); gsub(/\\u003[eE]/, ">", text)
        line = line (at > 1 ? "\t" : "") text
      }
      print line
    }
    is_text {
      text = text $0
      # An odd number of backslashes: the quote behind them is one of the text.
      if (match($0, /\\+$/) && RLENGTH % 2 == 1) { text = text "\""; next }
      is_text = 0
      if (is_key[depth]) { key[depth] = text; is_key[depth] = 0 } else value[path()] = text
      next
    }
    {
      for (at = 1; at <= length($0); at++) {
        c = substr($0, at, 1)
        if (c == "{" || c == "[") {
          depth++
          opened[depth] = c; is_key[depth] = (c == "{"); key[depth] = ""
          if (depth == 2) split("", value)
        } else if (c == "}" || c == "]" || c == ",") {
          if (bare != "") { value[path()] = bare; bare = "" }
          if (c == ",") is_key[depth] = (opened[depth] == "{")
          else { if (depth == 2) row(); depth-- }
        } else if (c !~ /[: \t\r\n]/) bare = bare c
      }
      is_text = 1; text = ""
    }
  '
}
