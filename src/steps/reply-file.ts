import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { whenAborted } from '../util/signals.ts'

/**
 * Answers a message with the content of a file, piece by piece, each when the client has read enough of what was sent
 * before. What is appended to the file meanwhile is not sent. A client that has a part of it and gets no more is reset.
 * @param over aborted when nobody waits for it any more: no more is sent
 * @throws SluiceError `step_failed`: there is no such file, and nothing was sent; or it could not be read to its end.
 *   `no_connection`: answers to this message cannot be sent in pieces
 */
export async function sendFile(message: Message, path: string, over?: AbortSignal): Promise<void> {
  const { source, sequence, client } = message
  if (source.drained === undefined) {
    const hint = 'Put it into the dataflow of a connection, without dedupe around it.'
    throw new SluiceError('no_connection', 'a file cannot be the answer here', { hint })
  }
  const file = await openFile(path)
  let at = 0
  const breakOff = () => {
    if (at > 0) source.reset?.()
  }
  const forget = over && whenAborted(over, breakOff)
  try {
    const { size } = await file.stat()
    while (at < size && client.state !== 'closed' && !over?.aborted) {
      const piece = await read(file, at, Math.min(PIECE, size - at)).catch((cause) => {
        breakOff()
        throw new SluiceError('step_failed', `cannot read ${path} to its end: ${cause.message}`, { cause })
      })
      source.reply(sequence, 'raw', piece)
      at += piece.length
      // An answer leaves at the end of the turn.
      await nextTurn()
      await source.drained()
    }
  } finally {
    forget?.()
    await file.close()
  }
}

/** Bytes that are read at once. */
const PIECE = 256 * 1024

async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle
  try {
    // A pipe would else be waited for until somebody writes to it.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const text = code === 'ENOENT' ? `there is no file ${path}` : `cannot open ${path}: ${message}`
    throw new SluiceError('step_failed', text, { cause })
  }
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw new SluiceError('step_failed', `${path} is no file`)
}

async function read(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(length), 0, length, at)
  if (bytesRead === 0) throw new Error('it has become shorter')
  return buffer.subarray(0, bytesRead)
}
