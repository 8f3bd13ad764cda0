// TCP between two hosts that share a secret: TLS 1.3 with an external pre-shared key (RFC 8446, 2.2), no certificates. Both sides prove
// that they hold the secret before either says or believes anything; whoever does not is dropped, with a reason, and held to a fixed
// number of half-open handshakes. Without a secret it is plain TCP, and only on this host. What is handed out are ordinary sockets.

import {constants, hkdfSync} from 'node:crypto';
import {createConnection, createServer, type Server, type Socket} from 'node:net';
import {connect as connectTls, createServer as createTlsServer, type TLSSocket, type TlsOptions} from 'node:tls';
import {assert, FtvmError} from '../errors.ts';
import {type Endpoint, formatEndpoint} from './endpoint.ts';

/** A shared secret: `readSecretFile` gives one. */
export const SECRET_BYTES = {min: 32, max: 4096} as const;

/** From the connection to the proof. A handshake takes 5 ms on loopback; this allows for a bad line between hosts. */
const HANDSHAKE_TIMEOUT_MS = 5000;
/** Connections that have proved nothing yet. Beyond it the oldest is dropped, so that strangers cannot keep the peer out. */
const UNPROVEN_LIMIT = 64;
/** Strangers are reported at most so often; the others are counted. */
const REPORT_INTERVAL_MS = 1000;

/** Said before the key is known, so that two programs of another kind do not meet by accident. */
const IDENTITY = 'ftvm';

export type Stranger = {
  peer: string;
  /** For people. */
  reason: string;
  /** How many more were dropped since the last report. */
  othersDropped: number;
};

export type SecureListenOptions = {
  /** Undefined is allowed on loopback addresses only. */
  secret: Uint8Array | undefined;
  /** A peer that holds the secret. The socket is a `TLSSocket` then, without one a plain socket. */
  onConnection: (socket: Socket, peer: string) => void;
  onStranger?: (stranger: Stranger) => void;
  handshakeTimeoutMs?: number;
  unprovenLimit?: number;
};

export type SecureConnectOptions = {
  secret: Uint8Array | undefined;
  /** For the connection and the proof together. */
  timeoutMs: number;
};

/** Throws FtvmError `network` when the address cannot be had, `usage` when it is not loopback and there is no secret. */
export async function listenSecurely(endpoint: Endpoint, options: SecureListenOptions): Promise<SecureListener> {
  refusePlain(endpoint, options.secret);
  const server = createServer({noDelay: true, keepAlive: true});
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(endpoint, error)));
    server.listen(endpoint.port, endpoint.host, resolve);
  });
  const address = server.address();
  // A name may resolve to anything.
  if (options.secret === undefined && !(typeof address === 'object' && isLoopback(address?.address ?? ''))) {
    server.close();
    refusePlain({...endpoint, host: String(typeof address === 'object' ? address?.address : address)}, undefined);
  }
  return new SecureListener(server, options);
}

export class SecureListener {
  readonly #server: Server;
  readonly #options: SecureListenOptions;
  readonly #sockets = new Set<Socket>();
  /** In the order of their arrival. */
  readonly #unproven = new Set<Socket>();
  #reportedMs = Number.NEGATIVE_INFINITY;
  #unreportedCount = 0;

  constructor(server: Server, options: SecureListenOptions) {
    this.#server = server;
    this.#options = options;
    const {secret, onConnection} = options;
    // Such as too many open files: whoever cannot be accepted tries again, and nothing else is disturbed.
    server.on('error', () => {});
    const prove = secret === undefined ? undefined : this.#proving(secret);
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      if (prove === undefined) onConnection(socket, peerOf(socket));
      else prove(socket);
    });
  }

  /** The port that was given, or chosen for port 0. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** How many connections have proved nothing yet. */
  get unprovenCount(): number {
    return this.#unproven.size;
  }

  /** Stops listening, and breaks what is still open once it is sent. */
  close(): void {
    this.#server.close();
    for (const socket of this.#unproven) socket.destroy();
    for (const socket of this.#sockets) socket.destroySoon();
  }

  #proving(secret: Uint8Array): (socket: Socket) => void {
    const {unprovenLimit = UNPROVEN_LIMIT, handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS} = this.#options;
    const key = tlsKey(secret);
    // Not a listening server: it is given the sockets, and runs the handshakes.
    const handshakes = createTlsServer({
      ...TLS_OPTIONS,
      handshakeTimeout: handshakeTimeoutMs,
      pskCallback: (_socket, identity) => (identity === IDENTITY ? key : null),
    });
    const rawSockets = new Map<string, Socket>();
    handshakes.on('tlsClientError', (error, socket) => {
      this.#drop(rawSockets.get(peerOf(socket)), reasonOfServer(error));
      socket.destroy();
    });
    handshakes.on('secureConnection', (socket) => {
      const peer = peerOf(socket);
      const raw = rawSockets.get(peer);
      if (raw !== undefined) this.#unproven.delete(raw);
      // An external key shows as a resumed session. There is no other way in: this side has no certificate.
      if (!socket.isSessionReused()) {
        this.#report(peer, 'it proved nothing');
        socket.destroy();
        return;
      }
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      this.#options.onConnection(socket, peer);
    });
    return (socket) => {
      const peer = peerOf(socket);
      rawSockets.set(peer, socket);
      this.#unproven.add(socket);
      socket.on('close', () => {
        this.#unproven.delete(socket);
        if (rawSockets.get(peer) === socket) rawSockets.delete(peer);
      });
      socket.on('error', () => socket.destroy());
      if (this.#unproven.size > unprovenLimit) {
        const [oldest] = this.#unproven;
        this.#drop(oldest, 'too many connections that had proved nothing');
      }
      handshakes.emit('connection', socket);
    };
  }

  #drop(socket: Socket | undefined, reason: string): void {
    if (socket === undefined || !this.#unproven.delete(socket)) return;
    this.#report(peerOf(socket), reason);
    socket.destroy();
  }

  #report(peer: string, reason: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#reportedMs < REPORT_INTERVAL_MS) {
      this.#unreportedCount++;
      return;
    }
    const othersDropped = this.#unreportedCount;
    this.#reportedMs = nowMs;
    this.#unreportedCount = 0;
    this.#options.onStranger?.({peer, reason, othersDropped});
  }
}

/**
 * Resolves once the other side has proved that it holds the secret. Throws FtvmError `network` when nobody listens there, or it did
 * not; `usage` when the address is not loopback and there is no secret.
 */
export async function connectSecurely(endpoint: Endpoint, options: SecureConnectOptions): Promise<Socket> {
  const {secret, timeoutMs} = options;
  refusePlain(endpoint, secret);
  const raw = createConnection({...endpoint, noDelay: true, keepAlive: true});
  const timer = setTimeout(() => raw.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    await new Promise<void>((resolve, reject) => {
      raw.once('connect', resolve);
      raw.once('error', reject);
    });
    if (secret === undefined) {
      // A name may resolve to anything.
      refusePlain({...endpoint, host: raw.remoteAddress ?? endpoint.host}, undefined);
      return raw;
    }
    return await proveTo(raw, tlsKey(secret));
  } catch (error) {
    raw.destroy();
    throw cannotConnect(endpoint, error);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether this address is of this host. A name other than `localhost` is not, whatever it resolves to. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(host);
}

function proveTo(raw: Socket, key: Buffer): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      ...TLS_OPTIONS,
      socket: raw,
      // No authority can vouch for the other side, whatever the environment says: only the key can.
      ca: [],
      rejectUnauthorized: true,
      pskCallback: () => ({psk: key, identity: IDENTITY}),
      checkServerIdentity: () => new Error('the peer showed a certificate instead of proving the secret'),
    });
    const broken = (): void => reject(Object.assign(new Error('the connection was closed'), {code: 'ECONNRESET'}));
    socket.once('error', reject);
    socket.once('close', broken);
    raw.once('error', reject);
    socket.once('secureConnect', () => {
      if (!socket.isSessionReused() || !socket.authorized) {
        reject(new Error('the other side proved nothing'));
        return;
      }
      socket.off('error', reject);
      socket.off('close', broken);
      raw.off('error', reject);
      resolve(socket);
    });
  });
}

/**
 * TLS 1.3 only. Of its cipher suites OpenSSL ties an external key that is given by callback to SHA-256. The key exchange
 * (X25519 with ML-KEM-768 in Node 24) gives each connection keys of its own, which the secret does not reveal later.
 */
const TLS_OPTIONS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
  secureOptions: constants.SSL_OP_NO_TICKET,
} satisfies TlsOptions;

/** The secret itself is used for nothing: each use has a key of its own (RFC 5869). */
function tlsKey(secret: Uint8Array): Buffer {
  assert(secret.length >= SECRET_BYTES.min, `a secret of ${secret.length} bytes`);
  return Buffer.from(hkdfSync('sha256', secret, new Uint8Array(0), 'ftvm channel 1', 32));
}

function refusePlain({host}: Endpoint, secret: Uint8Array | undefined): void {
  if (secret !== undefined || isLoopback(host)) return;
  throw new FtvmError('usage', `${host} is not this host, and without a secret a channel stays on this host`, {
    hint: 'Give both sides the same --secret-file. Make one: (umask 077; head -c 32 /dev/urandom > pair.secret)',
    details: {host},
  });
}

function cannotListen(endpoint: Endpoint, error: NodeJS.ErrnoException): FtvmError {
  const occupied = error.code === 'EADDRINUSE';
  return new FtvmError(
    'network',
    `cannot listen on ${formatEndpoint(endpoint)}: ${occupied ? 'the port is occupied' : error.message}`,
    {
      hint: occupied ? 'Choose another port, or end what listens there.' : 'Check the address.',
      details: {...endpoint},
      cause: error,
    },
  );
}

function cannotConnect(endpoint: Endpoint, error: unknown): unknown {
  if (error instanceof FtvmError || !(error instanceof Error) || error.name === 'AssertionError') return error;
  const {reason, hint} = reasonOfClient(error);
  return new FtvmError('network', `cannot connect to ${formatEndpoint(endpoint)}: ${reason}`, {
    hint,
    details: {...endpoint},
    cause: error,
  });
}

function reasonOfServer(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'it proved nothing in time';
  if (code === 'ERR_SSL_BINDER_DOES_NOT_VERIFY') return 'it has another secret';
  // No key was offered under our name, and a certificate, which the server would have to show then, it has none.
  if (code === 'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM' || code === 'ERR_SSL_NO_SHARED_CIPHER')
    return 'it has no secret';
  if (code === 'ERR_SSL_UNSUPPORTED_PROTOCOL') return 'it does not speak TLS 1.3';
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'it left before it proved anything';
  if (code.startsWith('ERR_SSL_')) return `it does not speak TLS as we do: ${words(code)}`;
  return error.message;
}

function reasonOfClient(error: Error): {reason: string; hint: string} {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const sameSecret = 'Both sides need the same --secret-file, copied byte by byte.';
  switch (code) {
    case 'ECONNREFUSED':
      return {reason: 'nobody listens there', hint: 'Start the primary with: ftvm record … --listen HOST:PORT'};
    case 'ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR':
      return {reason: 'the other side has another secret', hint: sameSecret};
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return {
        reason: 'the other side does not speak TLS',
        hint: 'It was started without --secret-file, or is no ftvm.',
      };
    case 'ECONNRESET':
      return {reason: 'the other side closed the connection', hint: sameSecret};
    default:
      break;
  }
  if (code.startsWith('ERR_SSL_')) return {reason: `the other side refused: ${words(code)}`, hint: sameSecret};
  return {
    reason: error.message,
    hint: 'Check the address, the network between, and that both sides have the same secret.',
  };
}

function words(code: string): string {
  return code
    .replace(/^ERR_SSL_(TLSV1_|SSL\/TLS_)?/, '')
    .toLowerCase()
    .replaceAll('_', ' ');
}

function peerOf(socket: Socket): string {
  return formatEndpoint({host: socket.remoteAddress ?? '?', port: socket.remotePort ?? 0});
}
