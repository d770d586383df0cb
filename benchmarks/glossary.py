"""What does every number of a report mean?"""
# ruff: noqa: E501

from __future__ import annotations

WORDS: dict[str, str] = {
    "accuracy matrix R": "Row t: after learning experience t. Column j: share of experience j's test images that a probe names correctly. With frozen features it exists for experiences not yet learnt, too. A white frame marks what has just been learnt.",
    "probe": "A classifier fitted on the frozen features of labelled training images, to see what the encoder knows. The encoder never sees the labels. Each protocol gives other numbers: compare within one.",
    "scope all": "The probe is fitted on the training data of all experiences and chooses among all classes.",
    "scope seen": "The probe is fitted on the experiences learnt so far, and scored on these.",
    "scope task": "A probe for each experience alone, which is told the experience: the easiest.",
    "@10%, @5": "The probe gets 10 % of the labels, or 5 of each class, class-balanced; the mean over three draws of them.",
    "average accuracy": "Mean of the last row of R.",
    "gain": "Average accuracy minus that of the untrained encoder.",
    "untrained accuracy": "The same probe on the encoder before any training, mean over experiences. Dashed in the curves.",
    "anytime accuracy": "After each experience, the mean accuracy over those seen so far; as one number, its mean over the stream.",
    "forgetting": "Mean over the experiences but the last of the best accuracy at any time minus that at the end (CaSSLe, Osiris).",
    "forgetting (Chaudhry)": "The same, the best taken from when the experience was learnt until before the end; below 0 where the end is best.",
    "backward transfer": "Mean change of an experience's accuracy from just after it was learnt to the end.",
    "forward transfer": "Mean accuracy on an experience just before it is learnt, minus the untrained encoder's.",
    "knowledge gain": "Mean change of an experience's accuracy by learning it: plasticity (Osiris).",
    "consolidation": "How often the 200 nearest training images tell of a test image which experience it belongs to, at the end, by cosine; chance is one in as many as there are (Osiris). Of the features, whatever the probe.",
    "reference": "What the numbers are to be measured against, by the same probes: raw pixels; untrained encoders of several initialisations; the same method on the whole stream at once (iid) with the same number of views; the same encoder trained on labels, at once.",
    "further questions": "What a stream asks of the probe beside its classes. Of CORe50: objects by session; categories; new instance (the category of objects that the probe has not met); background (the session of a training image of an object that the probe has not met: how much of the scene the features hold, at chance nothing).",
    "on all test images": "Where a probe looks at one in n test images, the last encoder is tested on all of them, too, each once. R and what is computed of it keep to one in n: forgetting compares rows, which must be of the same images.",
    "odd": "What must be known of a protocol before its numbers are compared with those of others.",
    "mean ± standard deviation": "Over the seeds, with n - 1; seeds set weights, views and the order of images.",
    "paired difference": "Mean ± standard deviation over seeds of one strategy minus another with the same seed.",
    "feature spread": "Mean standard deviation of unit features of D dimensions over images; 1 / sqrt(D) is healthy, near 0 all images look alike: collapse.",
    "effective rank": "RankMe: how many directions the features use. Compare runs of one method and encoder only.",
    "likeness to the first": "Linear CKA of the first experience's features now with those right after it was learnt; 1 is no drift.",
    "alignment": "Mean squared distance of two views' embeddings of an image; 0 is best.",
    "uniformity": "Log mean Gaussian potential of embeddings; -4 is spread over the sphere, 0 is collapse.",
    "embedding picture": "t-SNE of the features of a fixed sample of test images, each moment started from the one before. Distances between groups mean little.",
    "same-class neighbours": "Share of the five nearest images by cosine, within the sample, that are of the same class.",
    "views": "Pictures made and encoded: images x passes x views of each (CLA's computation budget).",
    "bytes remembered": "Queue, bank, slow encoder, running statistics and replayed images: all that is kept beside the trained weights.",
    "training time": "Seconds of learning, without probes. Comparable on one machine only.",
}
