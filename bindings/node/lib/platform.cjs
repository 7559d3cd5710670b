'use strict';
// The name of this platform, as the folders of binaries have it.

/** "linux-x64-gnu", "linux-arm64-musl", "darwin-arm64", .. */
function platform() {
  const name = `${process.platform}-${process.arch}`;
  return process.platform === 'linux' ? `${name}-${isMusl() ? 'musl' : 'gnu'}` : name;
}

function isMusl() {
  const { report } = process;
  if (!report || typeof report.getReport !== 'function') return false;
  // Without this, the report asks the network for the names of hosts.
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  const { header } = report.getReport();
  report.excludeNetwork = before;
  return !header.glibcVersionRuntime;
}

module.exports = { platform };
