/** One finding of `doctor`. */
export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  /** What was found. */
  readonly detail: string;
  /** What to do about it; null where nothing is. */
  readonly advice: string | null;
}

export const ok = (name: string, detail: string): Check => ({
  name,
  status: 'ok',
  detail,
  advice: null,
});

export const bad = (
  status: 'warn' | 'fail',
  name: string,
  { detail, advice }: { detail: string; advice: string },
): Check => ({ name, status, detail, advice });
