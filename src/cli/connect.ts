import { Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from '../util/units.ts'
import { parseTarget, type Target } from './address.ts'
import type { ConnectFlags } from './connect-run.ts'

export function connectCommand(): Command {
  return new Command('connect')
    .description('talk to a server or a device: by hand, in a pipe, or with one message and its answer')
    .argument('<address>', 'HOST:PORT, PORT of this machine, or the path of a Unix socket', parseTarget)
    .option('--framing <framing>', 'cut and write messages as a configuration would: mllp, or \'delimiter: "|"\'')
    .option('--format <format>', "read and write values: json, or 'text: latin1'")
    .addOption(
      new Option('--eol <end>', 'line end behind what is typed or sent')
        .choices(['lf', 'crlf', 'cr', 'none'])
        .default('lf'),
    )
    .option('--hex', 'show bytes in hexadecimal')
    .option('--send <text>', 'send this, print the answer and end; escapes such as \\x02 are bytes')
    .option('--expect <regex>', 'with --send: wait until the answer matches', parseRegex)
    .addOption(
      new Option('--timeout <time>', 'time for the connection, and for the answer to --send')
        .argParser(parseTime)
        .default(5000, '5s'),
    )
    .option('--tls', 'encrypt, and check the certificate of the other side')
    .option('--insecure', 'encrypt, and believe any certificate')
    .option('--ca <file>', 'certificates of the authorities that are believed, PEM')
    .option('--cert <file>', 'our own certificate, PEM')
    .option('--key <file>', 'the key of our own certificate, PEM')
    .option('--servername <name>', 'name that the certificate must have, instead of the host')
    .option('--no-history', 'neither read nor keep the lines that are typed')
    .addHelpText('after', AFTER_HELP)
    .action(async (target: Target, flags: ConnectFlags, command: Command) => {
      if (flags.expect !== undefined && flags.send === undefined) command.error('error: --expect needs --send')
      const { runConnect } = await import('./connect-run.ts')
      await runConnect(target, flags)
    })
}

function parseRegex(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`)
  }
}

function parseTime(text: string): number {
  const time = parseDuration(text)
  if (time === undefined || time <= 0) throw new InvalidArgumentError('a time with a unit is needed, such as 5s.')
  return time
}

const AFTER_HELP = `
In a pipe standard input goes to the other side and what it sends to standard output, byte for byte.

Exit codes: 0 all good; 1 the connection failed; 2 wrong usage, or no answer to --send in time.

Examples:
  sluice connect 192.168.1.5:9100
  sluice connect 2575 --framing mllp --format hl7
  sluice connect scale:4001 --eol crlf --send R --expect 'kg'
  echo '{"temp":21}' | sluice connect 9100
`
