import { dataflow, z } from '../contracts/schema.ts'

/** What options of several sections have in common. */

/** Said of every path. */
export const RELATIVE = "A relative path starts at the configuration's folder."

/** The name of an endpoint, or of a shared dataflow. */
export const entryName = () =>
  z.string().regex(/^[A-Za-z][\w-]*$/, 'expected a name of letters, digits, - and _ that begins with a letter')

/** 0 for any that is free. */
export const port = () => z.int().min(0).max(65_535)

/** One for both directions, or one for each. */
export const directions = <Schema extends z.ZodType>(option: () => Schema, what: string) =>
  z.union([
    z.strictObject({
      in: option().describe(`${what} of what arrives.`),
      out: option().describe(`${what} of what is sent.`),
    }),
    option(),
  ])

/** The dataflow of an endpoint whose messages come from outside. */
export const messageDataflow = () =>
  dataflow().optional().describe('Steps that each message goes through, or the name of an entry of dataflows.')

/** Takes the messages that failed in it. */
export const messageOnError = () =>
  dataflow().optional().describe('Steps for a message that failed, with error in scope. The message ends there.')
