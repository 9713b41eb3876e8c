#!/usr/bin/env bash
# Trains a small LUKE for named entity recognition on the sample in data/ner, scores it on the test part, and tags three
# sentences it has never seen. Sets up .venv first; needs no GPU, and no network once set up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"

archive=runs/quickstart/model.tar.gz

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

run allennlp train configs/ner/quickstart.jsonnet -s runs/quickstart -f

run allennlp evaluate "$archive" data/ner/test.txt

# Names that are a person, a place or an organization only by their sentence.
sentences=$(
    cat <<'END'
Jordan Whitlock left Chelsea last summer to run the Florence Institute in Norwich.
Washington beat Orlando 3-1, and coach Paris Lindqvist thanked the fans who had come from Virginia.
Mercury will close its plant near Santiago, a spokeswoman for Dr. Okonjo told Reuters on Friday.
END
)
printf "\n\$ allennlp predict %s - <<'END'\n%s\nEND\n" "$archive" "$sentences"
printf '%s\n' "$sentences" | allennlp predict "$archive" -

cat <<END

That was the whole way: train, evaluate, predict. Next:

  source .venv/bin/activate

  # your own text, one sentence a line (or type it, then Ctrl-D)
  allennlp predict $archive my_text.txt

  # what it got wrong, as a page; and a page to try it in
  luke-tasks report $(dirname "$archive")
  luke-tasks serve $archive

  # your own data, in whatever form: looks at it and writes a config
  luke-tasks init

  # your own data, in CoNLL's columns
  allennlp train configs/ner/quickstart.jsonnet -s runs/mine \\
      -o '{"train_data_path": "my/train.txt", "validation_data_path": "my/dev.txt"}'

  # from Python
  python -c 'import luke_tasks; print(luke_tasks.load("$archive")("Jordan Whitlock left Chelsea last summer."))'
END
