import { validateHeaderValue } from 'node:http'
import { contentText } from '../contracts/codec.ts'
import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { secret, type Template, template, withoutProto, z } from '../contracts/schema.ts'
import { checkTls, tlsMapping } from './client-tls.ts'

/** Headers that belong to the connection and not to the user (RFC 9110, section 7.6.1), and those that we count out. */
const RESERVED = /^(?:connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i

const headerName = z.string().superRefine((name, context) => {
  const add = (message: string) => context.addIssue({ code: 'custom', message })
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) add(`${JSON.stringify(name)} cannot be the name of a header`)
  else if (RESERVED.test(name)) add(`the header ${name} is set by Sluice itself`)
})

/** The options that say where requests go, and who we are. */
export const httpAddress = {
  url: template().describe(
    'Where to send to. It may depend on the message behind the host: `https://api.example.com/devices/${msg.id}`. Values stand in it as they are.',
  ),
  headers: withoutProto(z.record(headerName, template()))
    .optional()
    .describe(
      'Headers, each a text that may depend on the message. One whose text is empty is left out. Values of `${env.NAME}` are never shown.',
    ),
  bearer: secret().optional().describe('A token, sent as `Authorization: Bearer …`.'),
  user: z.string().min(1).optional().describe('Name for `Authorization: Basic …`, with password.'),
  password: secret().optional().describe('Password that belongs to user.'),
  tls: tlsMapping.optional().describe('Whom to trust, for https. Default: the usual authorities.'),
}

const schema = z.strictObject(httpAddress)

/** {@link httpAddress} as a part receives them. */
export type HttpAddress = z.output<typeof schema>

/** An address that was made of a message. */
export interface Address {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly name: string
}

/** Where requests go, and with which headers. */
export class Addresses {
  readonly #options: HttpAddress
  readonly #fixed: Readonly<Record<string, string>>
  /** The last url and what it was made of: mostly it is always the same. */
  #last: { readonly text: string; readonly url: URL } | undefined

  constructor(options: HttpAddress) {
    this.#options = options
    this.#fixed = fixedHeaders(options)
  }

  /** @throws SluiceError `sink_failed` for a message that makes no address or no header */
  of(message: Message): Address {
    const text = String(contentText(this.#options.url(message)))
    if (text !== this.#last?.text) this.#last = { text, url: readUrl(text) }
    const headers: Record<string, string> = { ...this.#fixed }
    for (const [name, value] of Object.entries(this.#options.headers ?? {})) {
      const content = String(contentText(value(message)))
      if (content === '') continue
      check(name, content)
      headers[canonical(name)] = content
    }
    return { url: this.#last.url, headers, name: JSON.stringify([text, headers]) }
  }
}

/** Mistakes that need a look at several options. */
export function checkHttpAddress(options: HttpAddress, context: CheckContext): OptionProblem[] {
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
function isLiteral({ source, isFunction }: Template): boolean {
  return isFunction !== true && !source.includes('${')
}

/** An address as it may be shown: a path that was put together may hold what nobody should see. */
export function showUrl({ host, pathname }: URL, { url }: HttpAddress): string {
  return isLiteral(url) ? host + pathname : host
}

/** A text of a server without our secrets: some answer with what they were sent. */
export function maskSecrets(text: string, { bearer, password }: HttpAddress): string {
  let masked = text
  for (const secret of [bearer, password]) if (secret) masked = masked.replaceAll(secret, '…')
  return masked
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

function fixedHeaders({ bearer, user, password }: HttpAddress): Record<string, string> {
  const basic = () => `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`
  const authorization = bearer !== undefined ? `Bearer ${bearer}` : user !== undefined ? basic() : undefined
  if (authorization !== undefined) check('Authorization', authorization)
  return { 'User-Agent': 'sluice', ...(authorization === undefined ? {} : { Authorization: authorization }) }
}

/** @throws SluiceError `sink_failed` for an address that a message must not lead to */
function readUrl(text: string): URL {
  const url = /[\p{Cc}\\#]|\/(?:\.|%2e){1,2}(?:[/?]|$)/iu.test(text) ? null : URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return url
  // The text is not shown, as values of the environment may be in it.
  throw new SluiceError('sink_failed', 'what the message makes of the url is no valid address', {
    hint: 'A value in it may have no control characters, no backslash, no # and no path that leads upwards (..).',
  })
}

function check(name: string, value: string): void {
  try {
    validateHeaderValue(name, value)
  } catch (cause) {
    throw new SluiceError('sink_failed', `the header ${name} would have characters that no header may have`, { cause })
  }
}

/** So that a header of the user replaces ours, however it is written. */
function canonical(name: string): string {
  const lower = name.toLowerCase()
  return OURS.find((ours) => ours.toLowerCase() === lower) ?? name
}

const OURS = ['Content-Type', 'User-Agent', 'Authorization', 'Idempotency-Key'] as const
