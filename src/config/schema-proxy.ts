import { duration, z } from '../contracts/schema.ts'
import { parseIpRange } from '../transports/ip-range.ts'

const trusted = z
  .string()
  .refine(
    (text) => parseIpRange(text) !== undefined,
    'expected an IP address such as 10.0.0.5, or a range such as 10.0.0.0/24',
  )

/** `proxyProtocol:` of an entry of `listen:`. */
export const proxyProtocolSchema = z.strictObject({
  trust: z
    .union([trusted, z.array(trusted)])
    .optional()
    .describe(
      'Where load balancers connect from: an address such as 10.0.0.5, a range such as 10.0.0.0/24, or a list of them. Only ' +
        'their headers are believed, because anyone who can connect could claim any address; who comes from elsewhere is ' +
        'refused (proxy_failed), and without trust that is everybody. A Unix socket has no such addresses: there the ' +
        'permissions of its file say who can connect.',
    ),
  timeout: duration().prefault('5s').describe('Time in which the header must be there; the balancer sends it at once.'),
})
