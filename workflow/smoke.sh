#!/usr/bin/env bash
# Runs the whole pipeline at a small parameter set, from nothing, in a folder of its own:
#
#     workflow/smoke.sh [FOLDER [SET]]
#
# The folder gets a clone of this checkout as it is on disk, with an empty DVC cache and no remote, so that
# nothing is taken from earlier runs and nothing is left in the checkout. SNAKEMAKE_OPTIONS has options for Snakemake, such as
# `--profile profiles/slurm`.
set -euo pipefail

here=$(git rev-parse --show-toplevel)
folder=${1:-$(mktemp -d "${TMPDIR:-/tmp}/pgprim-smoke-XXXXXX")}
set=${2:-smoke}
test -z "$(ls -A "$folder" 2>/dev/null)" || { echo "$folder is not empty; name a new folder" >&2; exit 1; }
mkdir -p "$folder"
folder=$(realpath "$folder")

git clone --quiet --no-hardlinks "$here" "$folder"
# What is not committed belongs to the trial too.
cd "$here"
git ls-files -z --deleted | (cd "$folder" && xargs -0r rm -f --)
git ls-files -z --modified --others --exclude-standard | while IFS= read -r -d '' file; do
  test -e "$file" || continue
  mkdir -p "$folder/$(dirname "$file")" && cp -p "$file" "$folder/$file"
done

cd "$folder"
export PYTHONPATH="$folder:$folder/bridge/src"  # the clone's package, not the checkout's
mkdir .dvc/no-remote
cat > .dvc/config.local <<CONFIG
[cache]
    dir = cache
['remote "repository"']
    url = no-remote
CONFIG
rm -f dvc.lock
python -m pgprim.commands.scale "$set" --force

start=$SECONDS
# shellcheck disable=SC2086  # options are words
snakemake --cores "${CORES:-2}" ${SNAKEMAKE_OPTIONS:-}
echo "all figures of the set $set took $((SECONDS - start)) s; they are in $folder/figures"
