#!/bin/bash

# Parameters
#SBATCH --account='my lab'
#SBATCH --array=0-1%2
#SBATCH --cpus-per-task=4
#SBATCH --exclusive
#SBATCH --gpus-per-node=1
#SBATCH --job-name=repdrift-tiny-study-train
#SBATCH --mem=7GB
#SBATCH --nice=100
#SBATCH --nodes=1
#SBATCH --open-mode=append
#SBATCH --output=STUDY/results/jobs/slurm/submitit/%A_%a_0_log.out
#SBATCH --partition=gpu
#SBATCH --requeue
#SBATCH --signal=USR2@120
#SBATCH --time=90
#SBATCH --wckey=submitit

# setup
module load cuda/12; ulimit -c 0

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output STUDY/results/jobs/slurm/submitit/%A_%a_%t_log.out -c 4 PYTHON -u -m submitit.core._submit STUDY/results/jobs/slurm/submitit
