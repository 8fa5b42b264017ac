"""Ask what uvala makes of a data set before training on it.

python examples/check_data.py FOLDER
"""

import sys

import uvala


def main(folder: str) -> None:
    report = uvala.check(folder)
    for finding in report.findings:
        print(f"{finding.severity}: {finding.found} ({len(finding.files)} files). {finding.fix}")

    dataset = uvala.read_dataset(folder)
    print(
        f"{len(dataset)} images, {dataset.channels} channels, {dataset.dtype}; laid out as {dataset.layout}"
    )
    for row in dataset.table:
        print(f"{row.value} means {row.class_name}: {row.share:.1%} of the pixels, in {row.images} images")


if __name__ == "__main__":
    main(sys.argv[1])
