/** Where a service under test finds its bucket: a real S3 server when there is one (`S3_TEST_ENDPOINT`), else the tests' own. */

export const REAL_S3_ENDPOINT = process.env['S3_TEST_ENDPOINT'];
export const REAL_S3_BUCKET = process.env['S3_TEST_BUCKET'] ?? 'clockwork-test';

/** The service's variables. */
export function s3Settings(endpoint: string, bucket = 'test'): Record<string, string> {
  return {
    S3_BUCKET: bucket,
    S3_ENDPOINT: endpoint,
    S3_FORCE_PATH_STYLE: 'true',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: process.env['AWS_ACCESS_KEY_ID'] ?? 'test',
    AWS_SECRET_ACCESS_KEY: process.env['AWS_SECRET_ACCESS_KEY'] ?? 'test',
  };
}
