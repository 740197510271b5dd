/** What an agent permits. The default must permit nothing that changes or writes anything. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DEFAULT_EXEC_RULES,
  execPolicyText,
  isPermitted,
  readExecPolicy,
  ruleProblem,
} from '#protocol/messages/agent/exec-policy.ts';

const words = (text: string): string[] => text.split(' ');

describe('a rule', () => {
  it.each([
    ['df', 'df', true],
    ['df', 'df -h', false],
    ['df *', 'df', true],
    ['df *', 'df -h /', true],
    ['df -h', 'df', false],
    ['df -h', '/bin/df -h', false],
    ['/bin/df -h', '/bin/df -h', true],
    ['/bin/df', 'df', false],
    ['a x*z', 'a xyz', true],
    ['a x*z', 'a xz', true],
    ['a x*z', 'a xzy', false],
    ['a x*x', 'a x', false],
    ['a x*y*z', 'a x-y-z', true],
    ['a x*y*z', 'a xz', false],
    ['a * c', 'a b c', true],
    ['a * c', 'a b b c', false],
    ['*', 'rm -rf /', true],
    ['ls  -l ', 'ls -l', true],
  ])('"%s" and "%s": %s', (rule, command, permitted) => {
    expect(isPermitted([rule], words(command))).toBe(permitted);
  });

  it.each(['', ' ', 'a;b', 'a\nb', 'n* x', '* x', './x', 'bin/x'])('"%s" is none', (rule) => {
    expect(ruleProblem(rule)).not.toBeNull();
  });

  it('without a star permits its own words and no others', () => {
    const word = fc.stringMatching(/^[a-z=/.-]{1,6}$/);
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.array(word), (rule, argv) => {
        const isSame = rule.length === argv.length && rule.every((one, at) => one === argv[at]);
        expect(isPermitted([rule.join(' ')], argv)).toBe(isSame);
      }),
    );
  });
});

describe('the default', () => {
  it.each([
    'nvidia-smi --gpu-reset',
    'nvidia-smi -r',
    'nvidia-smi -pm 1',
    'nvidia-smi -q -f /etc/passwd',
    'nvidia-smi --query-gpu=name --format=csv -f /etc/passwd',
    'nvidia-smi --query-gpu=name --format=csv --filename=/etc/passwd',
    'rocm-smi --gpureset',
    'ps aux',
    'sh -c uptime',
    '/tmp/uptime',
  ])('does not permit %s', (command) => {
    expect(isPermitted(DEFAULT_EXEC_RULES, words(command))).toBe(false);
  });

  it('permits to look at GPUs', () => {
    const query = 'nvidia-smi --query-gpu=name,uuid --format=csv,noheader';
    expect(isPermitted(DEFAULT_EXEC_RULES, words(query))).toBe(true);
    expect(isPermitted(DEFAULT_EXEC_RULES, [])).toBe(false);
  });
});

describe('a policy', () => {
  it('is read as it was written', () => {
    expect(readExecPolicy('off')).toEqual({ kind: 'rules', rules: [] });
    expect(readExecPolicy('df -h; default')).toEqual({
      kind: 'rules',
      rules: ['df -h', ...DEFAULT_EXEC_RULES],
    });
    expect(readExecPolicy('df;')).toEqual({ kind: 'wrong', reason: 'a rule is empty: ""' });
    const rule = fc.stringMatching(/^[a-z][a-z*=, -]{0,9}[a-z*]$/).filter((one) => {
      return ruleProblem(one) === null && one !== 'off' && one !== 'default';
    });
    fc.assert(
      fc.property(fc.array(rule), (rules) => {
        expect(readExecPolicy(execPolicyText(rules))).toEqual({ kind: 'rules', rules });
      }),
    );
  });
});
