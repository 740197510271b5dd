/** `20 GiB`, `1.5 GiB`, `300 MiB`: for the reasons of checks. */
export function amount(mib: number): string {
  if (mib < 1024) return `${Math.floor(mib)} MiB`;
  // Rounded down: what is there must not look like what was needed.
  return `${Math.floor((mib / 1024) * 10) / 10} GiB`;
}

/** `18 GiB` of `20 GiB`; both in MiB where rounded they would look the same. */
export function amounts(haveMiB: number, neededMiB: number): readonly [string, string] {
  const [have, needed] = [amount(haveMiB), amount(neededMiB)];
  if (have !== needed) return [have, needed];
  return [`${Math.floor(haveMiB)} MiB`, `${neededMiB} MiB`];
}
