// Signs a token of an app: node app_token.mjs alice@example.com
import { createHmac } from 'node:crypto';
import { argv, env } from 'node:process';

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export function token(person) {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: 'HS256', kid: env.APP_KID };
  const claims = { iss: env.APP, aud: env.PORTAL, sub: person, iat: now, exp: now + 300 };
  const message = `${base64url(header)}.${base64url(claims)}`;
  const key = Buffer.from(env.APP_KEY, 'base64');
  return `${message}.${createHmac('sha256', key).update(message).digest('base64url')}`;
}

if (argv[1].endsWith('app_token.mjs')) console.log(token(argv[2]));
