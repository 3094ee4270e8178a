#!/usr/bin/env bash
# Makes NNNN.sql: the state that a release with migrations up to NNNN leaves, written by that release itself.
#
#   boot-server/tests/databases/record.sh COMMIT
#
# Beside it goes NNNN.key, with which the secrets in it are sealed, from migration 7 on.
#
# COMMIT is the last one before the next migration came; its server is built. Needs python3 for the dump.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
here=$PWD/boot-server/tests/databases
work=$(mktemp -d)
trap 'git worktree remove --force "$work/release" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/release" "$1"
suite=$work/release/boot-server/tests/suite
newest=$(ls "$work/release/boot-server/migrations" | sed -E 's/_.*//' | sort | tail -n 1)

cp "$here/record.rs" "$suite/record.rs"
for migration in $(seq 1 "$((10#$newest))"); do sed -i "s|^\( *\)//$migration: |\1|" "$suite/record.rs"; done
echo 'mod record;' >>"$suite/main.rs"
(cd "$work/release" && CENTRA_RECORD=$work/state.db cargo test ${CARGO_FLAGS:-} -p boot-server --test suite record::record -- --nocapture)

python3 - "$work/state.db" >"$here/$newest.sql" <<'END'
import sqlite3, sys
print("\n".join(sqlite3.connect(sys.argv[1]).iterdump()))
END
[ ! -e "$work/state.key" ] || cp "$work/state.key" "$here/$newest.key"
echo "$here/$newest.sql"
