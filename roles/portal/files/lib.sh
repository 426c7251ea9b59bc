# What packages.sh and provision.sh share: how a run is traced and reported. POSIX shell, nothing beyond busybox.

# json_string: standard input as one JSON string. Control characters are dropped, line ends kept.
json_string() {
	tr -d '\000-\010\013-\037\177' | awk '
		BEGIN { printf "\"" }
		{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); gsub(/\t/, "\\t"); if (NR > 1) printf "\\n"; printf "%s", $0 }
		END { printf "\"" }'
}

# one_line TEXT: without the tabs and line ends that mean something in our notes. To be called as $(one_line ...).
# Untraced, as every pipeline has to be: its parts would write their traces into each other's lines.
one_line() {
	{ set +x; } 2> /dev/null
	printf '%s' "$1" | tr '\n\t' '  '
}

# changed KIND NAME ACTION: notes one thing that differs from the portal (with --check) or was put right.
changed() {
	printf '%s\t%s\t%s\n' "$1" "$(one_line "$2")" "$(one_line "$3")" >> "$RUN/changed"
}

# failed WHAT MESSAGE: notes a failure that does not stop the rest.
failed() {
	printf '%s\t%s\n' "$(one_line "$1")" "$(one_line "$2")" >> "$RUN/failed"
}

json_changed() {
	awk -F '\t' '
		function q(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); gsub(/[\001-\037]/, "", s); return "\"" s "\"" }
		{ printf "%s{\"kind\": %s, \"name\": %s, \"action\": %s}", (NR > 1 ? ", " : ""), q($1), q($2), q($3) }' "$RUN/changed"
}

json_failed() {
	local comma=''
	while IFS="$(printf '\t')" read -r what message; do
		printf '%s{"step": %s, "message": %s}' "$comma" \
			"$(printf '%s' "$what" | json_string)" "$(printf '%s' "$message" | json_string)"
		comma=', '
	done < "$RUN/failed"
	[ "$1" = 0 ] && return
	# The trace's last line number is the line that ended the run; what is no trace is what the commands said.
	printf '%s{"step": %s, "line": %s, "message": %s, "output": %s}' "$comma" \
		"$(printf '%s' "$2" | json_string)" \
		"$(sed -n 's/^+\{1,\}\([0-9]\{1,\}\): .*/\1/p' "$RUN/trace" | tail -n 1 | grep . || echo 0)" \
		"$(sed -n 's/^+\{1,\}[0-9]*: //p' "$RUN/trace" | tail -n 1 | json_string)" \
		"$(grep -v '^+\{1,\}[0-9]*: ' "$RUN/trace" | tail -n 20 | json_string)"
}

# traced SCRIPT [ARGUMENT...]: runs the script once more, traced, and ends with one JSON object on standard output.
traced() {
	local code=0 name="${1##*/}"
	RUN=$(mktemp -d /tmp/multiverse.XXXXXX)
	: > "$RUN/changed"
	: > "$RUN/failed"
	RUN="$RUN" PS4='+$LINENO: ' sh -eux "$@" > "$RUN/output" 2> "$RUN/trace" || code=$?
	local failures
	failures=$(json_failed "$code" "$name")
	[ -z "$failures" ] || [ "$code" != 0 ] || code=1
	printf '{"script": "%s", "changed": [%s], "failed": [%s]}\n' "$name" "$(json_changed)" "$failures"
	rm -rf "$RUN"
	exit "$code"
}
