import { httpAddress } from '../brokers/http-address.ts'
import { duration, formatOption, z } from '../contracts/schema.ts'

export const httpOptions = z.strictObject({
  ...httpAddress,
  method: z.enum(['POST', 'PUT', 'PATCH']).default('POST').describe('Method of the request. Default: POST.'),
  batch: z
    .enum(['none', 'array', 'lines'])
    .default('none')
    .describe(
      'How many messages a request holds: one (`none`), or many as a JSON array (`array`) or one a line (`lines`; NDJSON where the format is JSON). Default: none.',
    ),
  format: formatOption()
    .optional()
    .describe("How a message is written; with `batch: array` it is always JSON. Default: the endpoint's format."),
  success: z
    .array(z.union([z.literal('2xx'), z.int().min(100).max(599)]))
    .min(1)
    .default(['2xx'])
    .describe(
      'Statuses that confirm, such as `[2xx, 409]` where a message that comes twice is answered with 409. Default: [2xx].',
    ),
  timeout: duration()
    .prefault('10s')
    .describe('How long a request may take, connecting and the whole answer included. Default: 10s.'),
})

export type HttpOptions = z.output<typeof httpOptions>
