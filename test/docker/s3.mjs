/** The tests' S3 server on every address of its container: what stands in for the real one where no image can be pulled. */
import { connect, createServer } from 'node:net';
import { TestS3Server } from '../../dist/test/support/s3-server.js';

const PORT = 9000;
const server = await TestS3Server.start([]);
const inner = Number(new URL(server.endpoint).port);
// The test server listens on loopback only, and stays that way: this hands connections through to it.
const door = createServer((outside) => {
  const inside = connect(inner, '127.0.0.1');
  for (const socket of [outside, inside]) {
    socket.on('error', () => {
      outside.destroy();
      inside.destroy();
    });
  }
  outside.pipe(inside).pipe(outside);
});
door.listen(PORT, '0.0.0.0');
process.once('SIGTERM', () => process.exit(0));
