/** The completion for bash, 3.2 or newer, with nothing else installed. */
import {
  anyOf,
  type Completed,
  optionsWithChoices,
  optionsWithFile,
  optionsWithValue,
  quoted,
} from './model.js';

export function bashCompletion(model: readonly Completed[]): string {
  const commands = model.slice(1).map(({ path }) => path);
  const branches = [
    ...optionsWithChoices(model).map(({ paths, choices }) => branch(paths, choices)),
    branch(optionsWithFile(model), null),
    ...model.map(({ path, options }) =>
      branch(
        [`${path} -`],
        options.flatMap(({ names }) => names),
      ),
    ),
    ...model.map(({ path, subcommands, choices }) =>
      branch([`${path} `], [...subcommands.map(({ name }) => name), ...choices]),
    ),
  ];
  return `# Completion of clockwork for bash: source <(clockwork completion bash)
_clockwork() {
  local cur=\${COMP_WORDS[COMP_CWORD]} command=clockwork option='' found='' word i IFS=$' \\t\\n'
  COMPREPLY=()
  # Which command it is so far, and which option has its value yet to come. bash cuts --name=value into three words.
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ $word == '=' ]]; then continue; fi
    if [[ -n $option ]]; then option=''; continue; fi
    case "$command $word" in
      ${anyOf(commands)}) command="$command $word" ;;
      ${anyOf(optionsWithValue(model))}) option=$word ;;
    esac
  done
  if [[ $cur == '=' ]]; then cur=''; fi
  if [[ -z $option && $cur == -* ]]; then option=-; fi
  case "$command $option" in
${branches.join('\n')}
  esac
  if [[ $found == '<file>' ]]; then
    compopt -o filenames 2>/dev/null
    IFS=$'\\n' COMPREPLY=($(compgen -f -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$found" -- "$cur"))
  fi
}
complete -F _clockwork clockwork
`;
}

/** Null: files. */
function branch(patterns: readonly string[], words: readonly string[] | null): string {
  return `    ${anyOf(patterns)}) found=${quoted(words === null ? '<file>' : words.join(' '))} ;;`;
}
