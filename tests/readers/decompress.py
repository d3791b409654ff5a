"""Decompresses a file with each of Python's decompressors, and reports the number of bytes of each."""

import argparse
import gzip
import json
import zlib

import zstandard

parser = argparse.ArgumentParser()
parser.add_argument("file")
args = parser.parse_args()

with open(args.file, "rb") as file:
    packed = file.read()

if packed.startswith(b"\x1f\x8b"):
    with gzip.open(args.file) as file:
        whole = {"gzip.open": len(file.read()), "gzip.decompress": len(gzip.decompress(packed))}
    first_only = {
        "zlib.decompress": len(zlib.decompress(packed, wbits=31)),
        "zlib.decompressobj": len(zlib.decompressobj(wbits=31).decompress(packed)),
    }
else:
    decompressor = zstandard.ZstdDecompressor()
    with open(args.file, "rb") as file, decompressor.stream_reader(file, read_across_frames=True) as reader:
        whole = {"stream_reader(read_across_frames=True)": len(reader.read())}
    # The call needs a size, because Downpipe's frames have none.
    first_only = {
        "ZstdDecompressor().decompress": len(decompressor.decompress(packed, max_output_size=1 << 30)),
        "ZstdDecompressor().decompressobj": len(decompressor.decompressobj().decompress(packed)),
    }
print(json.dumps({"whole": whole, "first_only": first_only}))
