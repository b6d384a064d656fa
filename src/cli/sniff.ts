import { Command } from 'commander'
import { parsePort, parseTarget, type Target } from './address.ts'
import type { SniffFlags } from './sniff-run.ts'

export function sniffCommand(): Command {
  return new Command('sniff')
    .description('show what a device sends, and propose a configuration for it')
    .argument('[port]', 'port to listen on; the device connects to it', parsePort)
    .option('--host <address>', 'address to listen on (default: all of this machine)')
    .option(
      '--connect <address>',
      'connect to the device instead: HOST:PORT, or the path of a Unix socket',
      parseTarget,
    )
    .option('--answer <text>', 'send this after each read, for a device that waits for an answer, such as \\x06')
    .option('--once', 'end when the first connection has closed')
    .addHelpText('after', AFTER_HELP)
    .action(async (port: number | undefined, flags: SniffFlags & { connect?: Target }, command: Command) => {
      if ((port === undefined) === (flags.connect === undefined)) {
        return command.error('error: name a port to listen on, or --connect and the address of the device')
      }
      const { runSniff } = await import('./sniff-run.ts')
      await runSniff(flags.connect ?? { listen: port! }, flags)
    })
}

const AFTER_HELP = `
Let the device send a few different messages. The proposal comes when the device is quiet or has closed, and again when
more has arrived. What is proposed has been tried on all that arrived; where that is not enough, it says "unsure".

Examples:
  sluice sniff 9100
  sluice sniff --connect 192.168.1.5:4001
`
