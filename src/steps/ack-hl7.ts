import type { Clock } from '../contracts/clock.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Ack, AckChoice, AckProtocol } from './ack-protocol.ts'

/** Codes of MSA-1 (HL7 table 0008). */
export const HL7_CODES = ['AA', 'AE', 'AR', 'CA', 'CE', 'CR'] as const

/**
 * The general acknowledgement of HL7 v2 (v2.5.1, 2.14.1 ACK; 2.9.2, original mode): MSH and MSA, built from the frame as
 * it came, whatever steps have made of the message since.
 */
export const hl7: AckProtocol = {
  words: 'HL7 (AA; what failed: AE, what is unreadable: AR)',
  takesCode: true,
  answer(message, choice, clock): Ack {
    const header = readHeader(message.raw)
    if (header === undefined && message.error === undefined) {
      throw new SluiceError('step_failed', 'the frame is no HL7 message, so there is nothing to acknowledge', {
        hint: 'Use ack: hl7 where the frames begin with MSH, with the framing mllp.',
      })
    }
    // Latin-1 gives each byte back as it was: fields are copied in the charset of the sender, which MSH-18 names.
    const text = ackText(header ?? NO_HEADER, message, choice, clock)
    return { kind: 'text', content: Buffer.from(text, 'latin1') }
  },
}

/** What is copied from the message. */
interface Header {
  /** The separators: of fields, of components, and the mark of escapes. */
  readonly field: string
  readonly component: string
  readonly mark: string
  /** Field n of MSH as it stands, counted as in the standard, from 2; empty when it is not there. */
  at(n: number): string
}

function readHeader(raw: Buffer): Header | undefined {
  const end = raw.findIndex((byte) => byte === 0x0d || byte === 0x0a)
  const line = raw.toString('latin1', 0, end === -1 ? raw.length : end)
  const field = line[3]
  if (!line.startsWith('MSH') || field === undefined || /[A-Za-z\d\s]/.test(field)) return undefined
  return headerOf(field, line.split(field))
}

function headerOf(field: string, fields: readonly string[]): Header {
  const [component = '^', , mark = '\\'] = fields[1] ?? ''
  return { field, component, mark, at: (n) => fields[n - 1] ?? '' }
}

/** What stands in the answer to something that is no HL7 at all. */
const NO_HEADER = headerOf('|', ['MSH', '^~\\&', '', '', '', '', '', '', '', '', 'P', '2.5'])

function ackText(header: Header, message: Message, { code, text }: AckChoice, clock: Clock): string {
  const { field, at } = header
  const why = text ?? message.error?.message ?? ''
  const msh = [
    'MSH',
    at(2),
    // The receiver of the message is the sender of the answer.
    at(5),
    at(6),
    at(3),
    at(4),
    timestamp(clock.now()),
    '',
    ackType(header),
    controlId(clock),
    at(11),
    at(12),
    ...(at(18) === '' ? [] : ['', '', '', '', '', at(18)]),
  ]
  const msa = ['MSA', code ?? usualCode(message), at(10), ...(why === '' ? [] : [plain(why, header)])]
  return `${msh.join(field)}\r${msa.join(field)}\r`
}

/**
 * AA for what has been done, AE for what has failed, AR for what cannot be processed at all: the framing or the format
 * has refused it (HL7 v2.5.1, 2.9.2.2).
 */
function usualCode({ error }: Message): string {
  if (error === undefined) return 'AA'
  return error.step === '' ? 'AR' : 'AE'
}

/** `ACK^A01^ACK` for `ADT^A01^ADT_A01`: the structure is told to senders that tell theirs, from v2.3.1 on. */
function ackType({ at, component }: Header): string {
  const [, trigger = '', structure] = at(9).split(component)
  if (trigger === '') return 'ACK'
  return ['ACK', trigger, ...(structure === undefined ? [] : ['ACK'])].join(component)
}

/** MSH-10 is unique, and has at most 20 characters up to v2.6: the 20 last hexadecimal digits of a UUID, 80 bits. */
function controlId(clock: Clock): string {
  return clock.uuid().replaceAll('-', '').slice(-20)
}

/** `20260101093000+0000`: the data type TS, in UTC. */
function timestamp(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().replaceAll(/\D/g, '').slice(0, 14)}+0000`
}

/** A text as a field: in ASCII, because the charset of the sender is not looked at, without separators, 80 characters (MSA-3). */
function plain(text: string, { field, at, mark }: Header): string {
  const marks = new Set([field, mark, ...at(2)])
  return Array.from(text.slice(0, 80), (character) => {
    if (marks.has(character)) return ' '
    return character >= ' ' && character <= '~' ? character : '?'
  }).join('')
}
