// Preloaded into ftvm by a canary (`node --import`): outputs leave as soon as our own log has them, whatever the backup has. Nothing in ftvm itself
// can switch the Output Rule off.

import {PrimaryReplication} from '../../src/replication/primary-replication.ts';

const {recordsReleased} = PrimaryReplication.prototype;
PrimaryReplication.prototype.recordsReleased = function (writtenThrough: bigint): bigint {
  recordsReleased.call(this, writtenThrough);
  return writtenThrough;
};
