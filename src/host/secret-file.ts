// The secret that two hosts share, in a file: what proves them to each other. Read whole and used as it stands, byte by byte; only its
// owner may be able to read it.

import {constants} from 'node:fs';
import {open} from 'node:fs/promises';
import {FtvmError} from '../errors.ts';
import {withFileErrors} from './file-error.ts';
import {SECRET_BYTES} from './secure-stream.ts';

/** 32 random bytes have some 30 different values, 64 hexadecimal digits 16; fewer are no accident. */
const FEWEST_DIFFERENT_BYTES = 10;

const HOW_TO = 'Make one, and copy it to the other host: (umask 077; head -c 32 /dev/urandom > pair.secret)';

/** Throws FtvmError `usage` when it cannot be a secret, `fileSystem` when it cannot be read. */
export async function readSecretFile(path: string): Promise<Uint8Array> {
  return withFileErrors({doing: 'read', path}, async () => {
    // Without NONBLOCK a pipe in its place would make us wait for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      // The open file is asked, not the path: it cannot be exchanged in between.
      const {mode, size, uid} = await file.stat();
      if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw wrong(path, 'it is not a regular file');
      if ((mode & 0o077) !== 0) {
        const octal = (mode & 0o777).toString(8).padStart(4, '0');
        throw wrong(path, `its mode is ${octal}, so that others may read or change it`, `chmod 600 ${path}`);
      }
      const own = process.geteuid?.();
      if (own !== undefined && uid !== own && uid !== 0) throw wrong(path, 'it belongs to another user');
      if (size < SECRET_BYTES.min)
        throw wrong(path, `it has ${size} bytes, and ${SECRET_BYTES.min} random ones are needed`);
      if (size > SECRET_BYTES.max) throw wrong(path, `it has ${size} bytes, more than ${SECRET_BYTES.max}`);
      const secret = new Uint8Array(await file.readFile());
      if (secret.length !== size) throw wrong(path, 'it changed while it was read');
      if (new Set(secret).size < FEWEST_DIFFERENT_BYTES) throw wrong(path, 'it is not random');
      return secret;
    } finally {
      await file.close();
    }
  });
}

function wrong(path: string, why: string, hint = HOW_TO): FtvmError {
  return new FtvmError('usage', `--secret-file ${path}: ${why}`, {hint, details: {path}});
}
