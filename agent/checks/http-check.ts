/**
 * Does a URL answer with a status of 2xx, and with the text that is asked for? Each time on a
 * connection of its own, which ends with it: a server that is measured keeps none for the agent, and
 * a stale one says nothing about the server. Redirects are not followed.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { StringDecoder } from 'node:string_decoder';
import { toError } from '#protocol/messages/errors.ts';
import type { CheckOf } from '#protocol/messages/attempt/check-spec.ts';
import { failed, PASSED, type CheckContext, type CheckResult } from './types.ts';

/** A health page is small: what comes after this much of it is not read (I12). */
const BODY_MOST = 1024 * 1024;

export async function checkHttp(
  { url, contains }: CheckOf<'http'>,
  { signal }: Pick<CheckContext, 'signal'>,
): Promise<CheckResult> {
  let response: IncomingMessage;
  try {
    response = await get(new URL(url), signal);
  } catch (error) {
    return failed(`${url} cannot be reached (${causeOf(error)})`);
  }
  try {
    const { statusCode = 0 } = response;
    if (statusCode < 200 || statusCode > 299) return failed(`${url} answers ${statusCode}`);
    if (contains === null || (await hasText(response, contains))) return PASSED;
    return failed(`the answer of ${url} has no "${contains}" in it`);
  } finally {
    response.destroy();
  }
}

function get(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    request(url, { signal, agent: false }, resolve).once('error', reject).end();
  });
}

async function hasText(response: IncomingMessage, wanted: string): Promise<boolean> {
  const decoder = new StringDecoder('utf8');
  let text = '';
  let bytes = 0;
  for await (const part of response) {
    const piece = part as Buffer;
    bytes += piece.length;
    text += decoder.write(piece);
    if (text.includes(wanted)) return true;
    if (bytes > BODY_MOST) return false;
  }
  return false;
}

/** A name with several addresses fails with one error for all of them. */
function causeOf(error: unknown): string {
  const first = error instanceof AggregateError ? (error.errors as unknown[])[0] : error;
  const { message, code } = toError(first) as NodeJS.ErrnoException;
  return code ?? message;
}
