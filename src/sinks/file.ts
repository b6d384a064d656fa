import { defineSink } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import { AppendFile } from './append-file.ts'
import { ByteSink, byteOptions } from './byte-sink.ts'

/** Appends messages to a file. */
export const file = defineSink({
  name: 'file',
  summary: 'Appends each message to a file.',
  details: [
    'The messages of many connections are written together, and with `fsync` they share one sync. When a write fails, ' +
      'because the disk is full say, the file is cut back to its last whole message.',
    'A file that is renamed (log rotation) or removed is noticed within 100 ms, with `fsync` at the next write, and a ' +
      'new one is begun. A file that ends in half a line gets a line end first. Paths that are equal share one open file.',
  ].join('\n\n'),
  options: z.strictObject({
    path: z
      .string()
      .min(1)
      .describe(
        "The file; it and its folders are made when missing. Relative paths start at the configuration's folder.",
      ),
    ...byteOptions,
    fsync: z
      .boolean()
      .default(false)
      .describe('Wait until the bytes are on the disk, so that a message survives a power cut. Default: false.'),
  }),
  short: 'path',
  examples: [
    { title: 'Lines in the format of the endpoint', config: { file: 'readings.txt' } },
    {
      title: 'JSON that survives a power cut',
      config: { file: { path: 'readings.jsonl', format: 'json', fsync: true } },
    },
  ],
  confirms: ({ fsync }) => (fsync ? 'durable' : 'os'),
  finished: 'the bytes are in the file',
  async create(options, context) {
    const path = context.resolvePath(options.path)
    const shared = context.share(`file ${path}`, () => new AppendFile(path, context.clock))
    try {
      await shared.value.open()
    } catch (error) {
      await shared.release()
      throw error
    }
    const { separator } = (options.framing ?? context.lineFraming).createDecoder(1)
    return new ByteSink(options, context, {
      take: (out) => shared.value.append(out.takeParts(), options.fsync, separator),
      release: () => shared.release(),
    })
  },
})
