import { defineSink } from '../contracts/define.ts'
import { duration, pathTemplate, size, z } from '../contracts/schema.ts'
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
    'With `rotate` a file that has become long or old is renamed to `PATH.20261128T062219123Z`, the time in UTC, and a new ' +
      'one begun. No message is lost or written twice by that, whenever the server ends. Files are compressed and removed ' +
      'beside the writing; what an end has broken off is done when the file is opened next. A rotation that fails is told ' +
      'of in the log, and the file grows on. `keep` and `maxTotal` are for the files of one path.',
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
    rotate: z
      .strictObject({
        maxSize: size()
          .refine((bytes) => bytes > 0, 'expected at least one byte')
          .optional()
          .describe('A file that would become longer is set aside first. One write is never split. Default: any size.'),
        every: duration({ age: true })
          .refine((milliseconds) => milliseconds >= 60_000, 'expected at least 1m')
          .optional()
          .describe(
            'A file is set aside at the first message of a new period, in UTC: `1d` begins at midnight. Default: never.',
          ),
        keep: z
          .int()
          .min(1)
          .optional()
          .describe('How many files that were set aside stay; the oldest are removed. Default: all.'),
        maxTotal: size().optional().describe('Most bytes that those have together. Default: any size.'),
        compress: z
          .enum(['none', 'gzip'])
          .default('none')
          .describe('What is done to a file that was set aside. Default: none.'),
      })
      .refine(({ maxSize, every }) => maxSize !== undefined || every !== undefined, {
        message: 'one of maxSize and every is needed',
      })
      .optional()
      .describe('When the file is set aside and a new one begun. Default: never.'),
  }),
  short: 'path',
  examples: [
    { title: 'Lines in the format of the endpoint', config: { file: 'readings.txt' } },
    {
      title: 'JSON that survives a power cut',
      config: { file: { path: 'readings.jsonl', format: 'json', fsync: true } },
    },
    {
      title: 'A new file each day, or when one has 100 MiB; those of two weeks stay',
      config: {
        file: { path: 'readings.txt', rotate: { every: '1d', maxSize: '100MiB', keep: 14, compress: 'gzip' } },
      },
    },
    {
      title: 'A file for each device and day',
      config: { file: { path: 'logs/${msg.device}/${formatTime(received, "YYYY-MM-DD")}.jsonl', format: 'json' } },
    },
  ],
  confirms: ({ fsync }) => (fsync ? 'durable' : 'os'),
  finished: 'the bytes are in the file',
  async create(options, context) {
    const { fsync: sync, path: template, rotate } = options
    const rotating = rotate && { rotation: rotate, warn: (text: string) => context.log('warn', text) }
    const { separator } = (options.framing ?? context.lineFraming).createDecoder(1)
    const how = { sync, separator, rotating }
    const open = (path: string) => context.share(`file ${path}`, () => new AppendFile(path, context.clock))
    if (template.fixed === undefined) {
      const files = new OpenFiles(open)
      return new RoutedSink(codecOf(options, context), {
        keyOf: (message) => context.resolvePath(template(message)),
        take: (path, out) => {
          const parts = out.takeParts()
          return files.with(path, (one) => one.append(parts, how))
        },
        release: () => files.close(),
      })
    }
    const shared = open(context.resolvePath(template.fixed))
    try {
      await shared.value.open(rotating)
    } catch (error) {
      await shared.release()
      throw error
    }
    return new ByteSink(options, context, {
      take: (out) => shared.value.append(out.takeParts(), how),
      release: () => shared.release(),
    })
  },
})
