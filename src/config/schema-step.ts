import { condition, dataflow, duration, z } from '../contracts/schema.ts'

/** What may stand beside the key that names a step; `siblingKeys` of the registry lists the same keys. */
export const siblingsSchema = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z][\w.-]*$/, 'expected a name of letters, digits, - _ and . that begins with a letter')
    .optional()
    .describe('Name of the step in logs, metrics and dead letters.'),
  if: condition().optional().describe('Messages for which this is false pass the step by.'),
  else: dataflow().optional().describe('Steps for what the step drops.'),
  timeout: duration().optional().describe('Time in which the step must have finished.'),
  retry: z
    .strictObject({
      for: duration({ off: true })
        .prefault('10s')
        .describe('How long a sink tries again when its destination cannot be reached.'),
      max: z.int().min(1).optional().describe('Most attempts.'),
    })
    .optional()
    .describe('When a sink tries again.'),
  onError: dataflow().optional().describe('Steps for messages that fail in this step. They end there.'),
})
