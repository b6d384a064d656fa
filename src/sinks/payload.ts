import { readFile } from 'node:fs/promises'
import type { PartContext } from '../contracts/context.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Message } from '../contracts/message.ts'
import { bytesTemplate, type Expression, formatOption, z } from '../contracts/schema.ts'

/** The options of a sink that sends each message as one payload, without a framing. */
export const payloadOptions = {
  payload: bytesTemplate().optional().describe('What is sent. Default: the message in `format`.'),
  format: formatOption().optional().describe("How a message is written. Default: the endpoint's format."),
}

/** The bytes of a message. They may be those that were read, so nobody changes them. */
export function payloadOf(
  { payload, format }: { payload?: Expression<Buffer> | undefined; format?: Format | undefined },
  context: PartContext,
): (message: Message) => Buffer {
  if (payload !== undefined) return payload
  const printer = format ?? context.codec.format
  return (message) => {
    if (message.verbatim === printer) return message.raw
    const printed = printer.print(message.msg)
    return typeof printed === 'string' ? Buffer.from(printed) : printed
  }
}

const file = (what: string) =>
  z.string().min(1).optional().describe(`${what} A relative path starts at the configuration's folder.`)

/** PEM files for a connection with TLS. */
export const tlsOption = z
  .strictObject({
    ca: file('File with the certificates that may sign that of the broker. Default: those of the system.'),
    cert: file('File with our own certificate, where the broker asks for one.'),
    key: file('File with the private key of `cert`.'),
  })
  .optional()
  .describe('Files for a connection with TLS.')

/** The contents of the files. @throws SluiceError naming the file that cannot be read */
export async function readTlsFiles(
  files: z.output<typeof tlsOption>,
  context: PartContext,
): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer }> {
  const contents: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {}
  for (const name of ['ca', 'cert', 'key'] as const) {
    const path = files?.[name]
    if (path === undefined) continue
    try {
      contents[name] = await readFile(context.resolvePath(path))
    } catch (cause) {
      const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read'
      throw new SluiceError('sink_failed', `the file ${path} of tls.${name} ${why}`, { cause })
    }
  }
  return contents
}
