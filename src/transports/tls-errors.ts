import { SluiceError } from '../contracts/errors.ts'

/**
 * Why a handshake failed, in words that say what to change.
 * @param error undefined when the other side just closed the connection
 */
export function tlsError(error: Error | undefined): SluiceError {
  if (error === undefined) return failed('the other side closed the connection during the TLS handshake')
  return knownCause(error) ?? failed(`the TLS handshake failed (${error.message.trim()})`, undefined, error)
}

/**
 * Why an encrypted connection broke. Here too it may be the handshake: with TLS 1.3 a client has finished its own when the server
 * refuses it (RFC 8446, section 4.4.2.4).
 */
export function tlsBroken(error: Error): SluiceError {
  return knownCause(error) ?? failed(`the encrypted connection broke (${error.message.trim()})`, undefined, error)
}

function knownCause(error: Error): SluiceError | undefined {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const cause = CAUSES.find(([pattern]) => pattern.test(code))
  return cause && failed(cause[1], cause[2], error)
}

/** The other side did not finish its handshake. */
export function handshakeTimedOut(timeout: number): SluiceError {
  return failed(
    `the TLS handshake did not finish within ${timeout} ms`,
    'Check that the other side speaks TLS on this port: one that waits for a plain greeting shows exactly this.',
  )
}

function failed(message: string, hint?: string, cause?: Error): SluiceError {
  return new SluiceError('tls_failed', message, { cause, retryable: true, ...(hint !== undefined && { hint }) })
}

/** Codes of OpenSSL and Node, with their cause and cure. The first match counts. */
const CAUSES: readonly (readonly [code: RegExp, message: string, hint: string])[] = [
  [
    /HTTP_REQUEST|HTTPS_PROXY_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_LAYER|UNEXPECTED_MESSAGE|BAD_RECORD_TYPE/,
    'the other side sent plain bytes where TLS was expected',
    'Turn TLS on there, or off here: both sides of this port must agree.',
  ],
  [
    /ALTNAME_INVALID|HOSTNAME_MISMATCH/,
    'the certificate of the other side is for another host',
    'Set tls.servername to a name that stands in the certificate, or dial that name.',
  ],
  [
    /UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY_LEAF|SELF_SIGNED|CERT_UNTRUSTED|INVALID_CA/,
    'the certificate of the other side is signed by an authority that is not known here',
    'Give the certificate of its authority as tls.ca.',
  ],
  [
    /CERT_HAS_EXPIRED|CERTIFICATE_EXPIRED/,
    'a certificate has expired',
    'Renew the certificate, and check the clocks of both sides.',
  ],
  [/CERT_NOT_YET_VALID/, 'a certificate is not valid yet', 'Check the clocks of both sides.'],
  [
    /PEER_DID_NOT_RETURN|CERTIFICATE_REQUIRED/,
    'a certificate of the client is required, and it sent none',
    'Give the client a certificate that is signed by the authority in tls.ca.',
  ],
  [
    /ALERT_UNKNOWN_CA|ALERT_CERTIFICATE_UNKNOWN|ALERT_BAD_CERTIFICATE/,
    'the other side does not accept our certificate',
    'Give the other side the certificate of our authority, or use one that it knows.',
  ],
  [
    /UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW|INAPPROPRIATE_FALLBACK/,
    'the two sides have no TLS version in common',
    'Update the older side: TLS 1.2 is the oldest version that is spoken here.',
  ],
  [
    /NO_SHARED_CIPHER|ALERT_HANDSHAKE_FAILURE|NO_SUITABLE/,
    'the two sides have no encryption method in common',
    'Update the older side, or use a certificate with a key type that it knows.',
  ],
  [
    /KEY_VALUES_MISMATCH/,
    'the key does not belong to the certificate',
    'Give the key with which this certificate was made.',
  ],
  [
    /NO_START_LINE|BAD_BASE64|PEM|ASN1|DECODER|UNSUPPORTED|BAD_DECRYPT|BAD_PASSWORD|INTERRUPTED_OR_CANCELLED/,
    'the certificate or the key cannot be read',
    'Give the contents of PEM files, and the passphrase of an encrypted key.',
  ],
  [/ECONNRESET|EPIPE/, 'the other side closed the connection during the TLS handshake', 'Its log may tell why.'],
]
