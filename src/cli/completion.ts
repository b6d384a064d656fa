import { Argument, Command } from 'commander'

const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const

export function completionCommand(): Command {
  return new Command('completion')
    .description('print a script that lets the shell complete commands, options and values')
    .addArgument(new Argument('<shell>', 'the shell that is to read it').choices(SHELLS))
    .addHelpText('after', AFTER_HELP)
    .action(async (shell: string) => {
      if (shell === 'bash') return void process.stdout.write(BASH)
      const { script } = await import('@bomb.sh/tab')
      script(shell, 'sluice', 'sluice')
    })
}

/** What the scripts ask: prints what may stand in the place of the last word. */
export function completeCommand(): Command {
  return new Command('complete')
    .description('print what may stand in the place of the last of these words')
    .argument('[words...]', 'what was typed behind sluice')
    .action(async (words: string[], _: unknown, command: Command) => {
      const { completeWords } = await import('./complete-words.ts')
      await completeWords(command.parent!, words)
    })
}

/**
 * Unlike the script of the library it needs no package "bash-completion", may be read twice, and evaluates nothing that was
 * typed. Where there is nothing to propose bash completes names of files.
 */
const BASH = `# bash completion of sluice
_sluice() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    [[ $line == :* ]] || COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(sluice complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -o default -F _sluice sluice
`

const AFTER_HELP = `
Examples:
  echo 'source <(sluice completion bash)' >> ~/.bashrc
  echo 'source <(sluice completion zsh)' >> ~/.zshrc       behind compinit
  sluice completion fish > ~/.config/fish/completions/sluice.fish
  sluice completion powershell >> $PROFILE
`
