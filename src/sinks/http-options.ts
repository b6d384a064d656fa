import { checkTls, tlsMapping } from '../brokers/client-tls.ts'
import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { duration, formatOption, secret, type Template, template, withoutProto, z } from '../contracts/schema.ts'

/** Headers that belong to the connection and not to the user (RFC 9110, section 7.6.1), and those that we count out. */
const RESERVED = /^(?:connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i

const headerName = z.string().superRefine((name, context) => {
  const add = (message: string) => context.addIssue({ code: 'custom', message })
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) add(`${JSON.stringify(name)} cannot be the name of a header`)
  else if (RESERVED.test(name)) add(`the header ${name} is set by Sluice itself`)
})

export const httpOptions = z.strictObject({
  url: template().describe(
    'Where to send to. It may depend on the message behind the host: `https://api.example.com/devices/${msg.id}`. Values stand in it as they are.',
  ),
  method: z.enum(['POST', 'PUT', 'PATCH']).default('POST').describe('Method of the request. Default: POST.'),
  headers: withoutProto(z.record(headerName, template()))
    .optional()
    .describe(
      'Headers, each a text that may depend on the message. One whose text is empty is left out. Values of `${env.NAME}` are never shown.',
    ),
  bearer: secret().optional().describe('A token, sent as `Authorization: Bearer …`.'),
  user: z.string().min(1).optional().describe('Name for `Authorization: Basic …`, with password.'),
  password: secret().optional().describe('Password that belongs to user.'),
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
  tls: tlsMapping.optional().describe('Whom to trust, for https. Default: the usual authorities.'),
  timeout: duration()
    .prefault('10s')
    .describe('How long a request may take, connecting and the whole answer included. Default: 10s.'),
})

export type HttpOptions = z.output<typeof httpOptions>

/** Mistakes that need a look at several options. */
export function checkHttpOptions(options: HttpOptions, context: CheckContext): OptionProblem[] {
  const problems = checkTls(options.tls ?? false, context)
  const { url, bearer, user, password, headers = {} } = options
  const wrong = urlProblem(url)
  if (wrong !== undefined) problems.push({ path: ['url'], ...wrong })
  if ((user === undefined) !== (password === undefined)) {
    const [given, missing] = user === undefined ? ['password', 'user'] : ['user', 'password']
    problems.push({ path: [given!], message: `${given} is of no use without ${missing}` })
  }
  const own = Object.keys(headers).find((name) => name.toLowerCase() === 'authorization')
  const ways = [bearer, user, own].filter((way) => way !== undefined)
  if (ways.length > 1) {
    const message = 'there are several credentials'
    problems.push({ path: [], message, hint: 'give one of bearer, user and password, or a header Authorization' })
  }
  return problems
}

/** True when a text is the same for all messages. */
export function isConstant({ source, isFunction }: Template): boolean {
  return isFunction !== true && !withoutEnv(source).includes('${')
}

/** True when nothing in a text comes from elsewhere, so that it may be shown. */
export function isLiteral({ source, isFunction }: Template): boolean {
  return isFunction !== true && !source.includes('${')
}

/** The host must not come from a message, or a device could choose who gets what the others say. */
function urlProblem(url: Template): { message: string; hint: string } | undefined {
  if (url.isFunction === true) return undefined
  const source = withoutEnv(url.source)
  if (!/^(?:https?:\/\/[^/?#$\s]+|\uFFFC)(?:[/?]|$)/i.test(source)) {
    const hint =
      'begin with http:// or https:// and a host, or with ${env.NAME}; a message may only decide what follows it'
    return { message: 'the url has no fixed host', hint }
  }
  if (/^[^/]*\/\/[^/?#]*@/.test(source)) {
    return { message: 'the url holds credentials', hint: 'take them out and give user and password, or bearer' }
  }
  if (isLiteral(url) && !URL.canParse(url.source)) return { message: 'the url is not valid', hint: 'correct it' }
  return undefined
}

/** A text with a mark where a value of the environment stands, which is the same for all messages. */
function withoutEnv(source: string): string {
  return source.replaceAll(/\$\{\s*env\.\w+\s*\}/g, '\uFFFC')
}
