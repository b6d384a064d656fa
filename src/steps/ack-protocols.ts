import type { PayloadKind } from '../contracts/client.ts'
import { hl7 } from './ack-hl7.ts'
import type { Ack, AckProtocol } from './ack-protocol.ts'

/** ACK and NAK of ASCII (ISO 646), which many protocols answer with. */
const ACK = Buffer.from([0x06])
const NAK = Buffer.from([0x15])

/** The protocols that are known by name. A new one is a line here, and a file of its own where it has more than two answers. */
export const ackProtocols = {
  hl7,
  /** HL7 "Transport Specification: MLLP, Release 2", commit acknowledgement: a block that holds ACK or NAK alone. */
  mllp: ofBytes('text', ACK, NAK, 'a block with ACK (what failed: NAK)'),
  'stx-etx': ofBytes('raw', ACK, NAK, 'the byte ACK (what failed: NAK)'),
} as const satisfies Record<string, AckProtocol>

/** A protocol with two answers. */
export function ofBytes(kind: PayloadKind, ok: Buffer, error: Buffer, words: string): AckProtocol {
  const accepted: Ack = { kind, content: ok }
  const refused: Ack = { kind, content: error }
  return { words, answer: (message) => (message.error === undefined ? accepted : refused) }
}
