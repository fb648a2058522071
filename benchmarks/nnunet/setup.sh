#!/bin/sh
# Make an environment with nnU-Net: setup.sh FOLDER [PYTHON]
#
# The packages are named one by one: nnU-Net's dependency timm, which only its transformers need, would
# bring torchvision in a build that does not fit the CPU's PyTorch.
set -e
folder=$1
python=${2:-python3}
test -x "$folder/bin/python" || "$python" -m venv "$folder"
pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check"
$pip torch==2.13.0
$pip --no-deps nnunetv2==2.8.1 dynamic-network-architectures==0.4.4 batchgeneratorsv2==0.3.6 acvl-utils==0.2.6
$pip batchgenerators==0.25.5 blosc2 connected-components-3d einops graphviz imagecodecs matplotlib \
    nibabel numpy pandas requests scikit-image scikit-learn scipy seaborn SimpleITK tifffile tqdm yacs
