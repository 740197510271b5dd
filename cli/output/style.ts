/** Colour, only where a person sees it: a terminal, and NO_COLOR unset or empty. */
import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** https://no-color.org; FORCE_COLOR wins over what the stream is. */
export function wantsColour(
  environment: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): boolean {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: term } = environment;
  if (no !== undefined && no !== '') return false;
  if (force !== undefined && force !== '' && force !== '0') return true;
  return isTerminal && term !== 'dumb';
}

export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly accent: (text: string) => string;
}

export function styleFor(colour: boolean): Style {
  const paint = (format: Format) => (text: string) =>
    colour && text !== '' ? styleText(format, text) : text;
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    good: paint('green'),
    bad: paint('red'),
    warn: paint('yellow'),
    accent: paint('cyan'),
  };
}

/** The colour of a state or an outcome. */
export function paintState(style: Style, state: string): string {
  switch (state) {
    case 'passed':
    case 'ready':
    case 'ok':
    case 'dead':
      return style.good(state);
    case 'failed':
    case 'timed_out':
    case 'lost':
    case 'fail':
    case 'unkillable':
      return style.bad(state);
    case 'stopped':
    case 'stopping':
    case 'draining':
    case 'skipped':
    case 'quarantined':
    case 'unreachable':
    case 'unproven':
    case 'warn':
    case 'degraded':
    case 'waiting':
    case 'absent':
      return style.warn(state);
    case 'running':
      return style.accent(state);
    default:
      return state.startsWith('paused by ') ? style.warn(state) : state;
  }
}
