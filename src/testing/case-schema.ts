import { z } from '../contracts/schema.ts'

/** One case of a dataflow test: what a client sends, and everything that must come of it. */
export const caseSchema = z.strictObject({
  name: z.string().min(1).describe('What is shown, in words.'),
  endpoint: z.string().min(1).describe('The endpoint under test.'),
  sends: z
    .string()
    .describe('The bytes that the client (for connect: the device) sends, with escapes. It then half-closes.'),
  topic: z
    .string()
    .min(1)
    .optional()
    .describe('For an endpoint under subscribe, which gets `sends` as one message: its topic. Default: test.'),
  replies: z.string().optional().describe('All bytes that it gets, with escapes. Default: not looked at.'),
  serverSends: z
    .string()
    .optional()
    .describe(
      'For a relay: what the server behind it sends when the client has sent all, with escapes. Default: nothing.',
    ),
  mirrorSends: z
    .string()
    .optional()
    .describe('For a relay with a mirror: what the second server sends then, with escapes. Default: nothing.'),
  serverGets: z
    .string()
    .optional()
    .describe('For a relay: all bytes that reach the server behind it, with escapes. Default: not looked at.'),
  sinks: z
    .record(z.string(), z.array(z.unknown()))
    .optional()
    .describe('For a sink, by id or name, the values of the messages that it got. Sinks are stood in for.'),
  failing: z
    .record(z.string(), z.string())
    .optional()
    .describe('Sinks, by id or name, that refuse every message, with the reason.'),
  deadLetters: z
    .array(
      z.strictObject({
        code: z.string().optional().describe('Code of the failure.'),
        raw: z.string().optional().describe('The frame, with escapes.'),
      }),
    )
    .optional()
    .describe('What must be in the dead letters. Default: nothing.'),
  split: z
    .boolean()
    .prefault(true)
    .describe('Repeat the case with the bytes cut elsewhere: byte by byte, and at random. Default true.'),
})

/** A file of dataflow tests. */
export const caseFileSchema = z.strictObject({
  config: z
    .string()
    .min(1)
    .optional()
    .describe('Configuration, relative to this file. Default: the file it is named after.'),
  tests: z.array(caseSchema).min(1, 'expected at least one case').describe('The cases.'),
})

export type DataflowCase = z.output<typeof caseSchema>
