import { Peer } from './peer.ts'

/** What clients sent, and what of it was answered. */
export interface Ledger {
  /** The lines that were answered with `OK LINE`, in the order of the answers. */
  readonly acknowledged: readonly string[]
  /** The other answers. */
  readonly refused: readonly string[]
}

export interface Load {
  readonly connections: number
  /** Lines of each connection: `CONNECTION-NUMBER`. */
  readonly lines: number
  /** Lines that may be without an answer, for each connection. */
  readonly outstanding: number
}

/**
 * Sends lines over many connections until each has its answer, `OK LINE` or something else.
 * @param disturb called once, when a third of the lines has been answered; the load goes on meanwhile
 */
export async function sendUnderLoad(
  port: number,
  { connections, lines, outstanding }: Load,
  disturb: () => Promise<void>,
): Promise<Ledger> {
  const acknowledged: string[] = []
  const refused: string[] = []
  let disturbed: Promise<void> | undefined
  const send = async (connection: number): Promise<void> => {
    await using peer = await Peer.connect(port)
    let answered = 0
    for (let sent = 0; answered < lines; ) {
      for (; sent < lines && sent - answered < outstanding; sent++) peer.send(`${connection}-${sent}\n`)
      const before = answered
      await peer.until(({ text }) => text.split('\n').length - 1 > before)
      const answers = peer.text.split('\n').slice(before, -1)
      answered += answers.length
      for (const answer of answers) {
        if (answer.startsWith('OK ')) acknowledged.push(answer.slice(3))
        else refused.push(answer)
      }
      if (acknowledged.length + refused.length > (connections * lines) / 3) disturbed ??= disturb()
    }
  }
  await Promise.all(Array.from({ length: connections }, (_, connection) => send(connection)))
  await disturbed
  return { acknowledged, refused }
}

/** The lines of one connection whose first copy stands before the first copy of an earlier one. */
export function outOfOrder(found: readonly string[]): string[] {
  const last = new Map<string, number>()
  return [...new Set(found)].filter((line) => {
    const [connection = '', number = ''] = line.split('-')
    const before = last.get(connection) ?? -1
    last.set(connection, Math.max(before, Number(number)))
    return Number(number) < before
  })
}
