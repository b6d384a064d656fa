import { defineSink } from '../contracts/define.ts'
import { pathTemplate, z } from '../contracts/schema.ts'
import { AppendFile } from './append-file.ts'
import { ByteSink, byteOptions, codecOf } from './byte-sink.ts'
import { OpenFiles } from './open-files.ts'
import { RoutedSink } from './routed-sink.ts'

/** Appends messages to a file. */
export const file = defineSink({
  name: 'file',
  summary: 'Appends each message to a file.',
  details: [
    'The messages of many connections are written together, and with `fsync` they share one sync. When a write fails, ' +
      'because the disk is full say, the file is cut back to its last whole message.',
    'A file that is renamed (log rotation) or removed is noticed within 100 ms, with `fsync` at the next write, and a ' +
      'new one is begun. A file that ends in half a line gets a line end first. Paths that are equal share one open file.',
    'A value in a path is a part of one name: one that is empty, has `/`, `\\` or a control character in it, makes a name ' +
      '`.` or `..`, or makes one longer than 255 bytes, fails its message (`expression_failed`). At most 100 files are open ' +
      'at once; which those are makes no difference to what is written.',
  ].join('\n\n'),
  options: z.strictObject({
    path: pathTemplate().describe(
      'The file, which may depend on the message: a text in which `${…}` is evaluated. It and its folders are made when ' +
        "missing. Relative paths start at the configuration's folder.",
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
    {
      title: 'A file for each device and day',
      config: { file: { path: 'logs/${msg.device}/${formatTime(received, "YYYY-MM-DD")}.jsonl', format: 'json' } },
    },
  ],
  confirms: ({ fsync }) => (fsync ? 'durable' : 'os'),
  finished: 'the bytes are in the file',
  async create(options, context) {
    const { fsync, path: template } = options
    const { separator } = (options.framing ?? context.lineFraming).createDecoder(1)
    const open = (path: string) => context.share(`file ${path}`, () => new AppendFile(path, context.clock))
    if (template.fixed === undefined) {
      const files = new OpenFiles(open)
      return new RoutedSink(codecOf(options, context), {
        keyOf: (message) => context.resolvePath(template(message)),
        take: (path, out) => {
          const parts = out.takeParts()
          return files.with(path, (one) => one.append(parts, fsync, separator))
        },
        release: () => files.close(),
      })
    }
    const shared = open(context.resolvePath(template.fixed))
    try {
      await shared.value.open()
    } catch (error) {
      await shared.release()
      throw error
    }
    return new ByteSink(options, context, {
      take: (out) => shared.value.append(out.takeParts(), fsync, separator),
      release: () => shared.release(),
    })
  },
})
