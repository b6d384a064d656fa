import type { Client, PayloadKind } from '../contracts/client.ts'
import type { Clock } from '../contracts/clock.ts'
import { type Codec, contentText, encodeContent } from '../contracts/codec.ts'
import type { KeptAnswer } from '../contracts/key-file.ts'
import type { Message, Source } from '../contracts/message.ts'
import type { Wait } from '../contracts/wait.ts'
import { ByteWriter } from '../util/byte-writer.ts'

/** What is known of a message while its answers are held back. */
export interface Recording {
  readonly answers: KeptAnswer[]
  failed: boolean
}

/**
 * Stands in for a source and holds back the answers to some messages, so that they can be kept, and be given when they
 * have been. Everything else goes to the source itself.
 */
export class AnswerRecorder implements Source {
  readonly #source: Source
  readonly #codec: Codec
  readonly #open = new Map<number, Recording>()
  readonly #writer = new ByteWriter()

  /** @param codec what the source is answered in: an answer that cannot be written in it is refused at once */
  constructor(source: Source, codec: Codec) {
    this.#source = source
    this.#codec = codec
  }

  get client(): Client {
    return this.#source.client
  }

  get boot(): string {
    return this.#source.boot
  }

  get endpoint(): string {
    return this.#source.endpoint
  }

  get clock(): Clock {
    return this.#source.clock
  }

  get state(): Record<string, unknown> {
    return this.#source.state
  }

  get origin(): Source {
    return this.#source.origin ?? this.#source
  }

  /**
   * From now on the answers to this message are held back.
   * @returns where they are; the same for all messages that a step made of one
   */
  begin(sequence: number): Recording {
    const recording = this.#open.get(sequence) ?? { answers: [], failed: false }
    this.#open.set(sequence, recording)
    return recording
  }

  /** From now on answers to this message go to the source. */
  end(sequence: number): void {
    this.#open.delete(sequence)
  }

  reply(sequence: number, kind: PayloadKind, content: unknown): void {
    const recording = this.#open.get(sequence)
    if (recording === undefined) this.#source.reply(sequence, kind, content)
    else recording.answers.push(this.#toKept(kind, content))
  }

  wait(wait: Wait<Message>): Promise<Message> {
    return this.#source.wait(wait)
  }

  echo(): boolean {
    return false
  }

  failed(sequence: number): void {
    const recording = this.#open.get(sequence)
    if (recording !== undefined) recording.failed = true
    this.#source.failed?.(sequence)
  }

  close(): void {
    this.#source.close()
  }

  /** Formatted, but not framed: the framing is that of whoever is answered in the end. */
  #toKept(kind: PayloadKind, content: unknown): KeptAnswer {
    const { format } = this.#codec
    if (kind === 'raw') return { kind, content: toBuffer(contentText(content)) }
    const text = kind === 'value' ? format.print(content) : contentText(content)
    const isLetters = kind === 'text' && typeof text === 'string'
    const payload = toBuffer(isLetters && format.encodeText ? format.encodeText(text) : text)
    this.#requireEncodable(payload)
    return { kind: 'text', content: payload }
  }

  #requireEncodable(payload: Buffer): void {
    try {
      encodeContent('text', payload, this.#codec, this.#writer)
    } finally {
      this.#writer.take()
    }
  }
}

function toBuffer(content: string | Buffer): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : content
}
