import { duration, secret, z } from '../contracts/schema.ts'
import { RELATIVE } from './schema-options.ts'

const tlsCommon = {
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).prefault('TLSv1.2').describe('Oldest version of TLS that is spoken.'),
  handshakeTimeout: duration().prefault('5s').describe('Time in which the handshake must end.'),
}

/** TLS of those who connect to us. */
export const listenTlsSchema = z.strictObject({
  cert: z.string().min(1).describe(`File with the certificate chain, PEM. ${RELATIVE}`),
  key: z.string().min(1).describe(`File with the private key, PEM. ${RELATIVE}`),
  passphrase: secret().optional().describe('Passphrase of the private key.'),
  ca: z
    .string()
    .min(1)
    .optional()
    .describe(`File with the authorities that must have signed the certificate of a client, PEM. ${RELATIVE}`),
  ...tlsCommon,
})

/** TLS of those whom we connect to. */
export const connectTlsSchema = z.strictObject({
  ca: z
    .string()
    .min(1)
    .optional()
    .describe(`File with the authorities that are trusted instead of the usual ones, PEM. ${RELATIVE}`),
  cert: z.string().min(1).optional().describe(`File with our own certificate chain, PEM. ${RELATIVE}`),
  key: z.string().min(1).optional().describe(`File with our own private key, PEM. ${RELATIVE}`),
  passphrase: secret().optional().describe('Passphrase of the private key.'),
  servername: z.string().min(1).optional().describe('Name that the certificate must have. Default: host.'),
  insecure: z.boolean().prefault(false).describe('Accept any certificate. For tests only.'),
  ...tlsCommon,
})
