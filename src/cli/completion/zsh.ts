/** The completion for zsh. */
import {
  anyOf,
  type Completed,
  optionsWithChoices,
  optionsWithFile,
  optionsWithValue,
  quoted,
} from './model.js';

type Word = readonly [word: string, about: string];

export function zshCompletion(model: readonly Completed[]): string {
  const commands = model.slice(1).map(({ path }) => path);
  const branches = [
    ...optionsWithChoices(model).map(({ paths, choices }) =>
      branch(
        paths,
        choices.map((word): Word => [word, '']),
      ),
    ),
    `    ${anyOf(optionsWithFile(model))}) _files; return ;;`,
    ...model.map(({ path, options }) =>
      branch(
        [`${path} -`],
        options.flatMap(({ names, about }) => names.map((name): Word => [name, about])),
      ),
    ),
    ...model.map(({ path, subcommands, choices }) =>
      branch(
        [`${path} `],
        [
          ...subcommands.map(({ name, about }): Word => [name, about]),
          ...choices.map((word): Word => [word, '']),
        ],
      ),
    ),
  ];
  return `#compdef clockwork
# Completion of clockwork for zsh: source <(clockwork completion zsh)
_clockwork() {
  local command=clockwork option='' word
  local -a found
  # Which command it is so far, and which option has its value yet to come.
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $option ]]; then option=''; continue; fi
    case "$command $word" in
      ${anyOf(commands)}) command="$command $word" ;;
      ${anyOf(optionsWithValue(model))}) option=$word ;;
    esac
  done
  if [[ -z $option && $PREFIX == --*=* ]]; then
    option=\${PREFIX%%=*}
    compset -P 1 '*='
  elif [[ -z $option && $PREFIX == -* ]]; then
    option=-
  fi
  case "$command $option" in
${branches.join('\n')}
  esac
  (( $#found )) && _describe clockwork found
}
if [[ $funcstack[1] == _clockwork ]]; then _clockwork "$@"; else compdef _clockwork clockwork; fi
`;
}

function branch(patterns: readonly string[], words: readonly Word[]): string {
  return `    ${anyOf(patterns)}) found=(${words.map(described).join(' ')}) ;;`;
}

function described([word, about]: Word): string {
  const name = word.replaceAll(':', '\\:');
  return quoted(about === '' ? name : `${name}:${about}`);
}
